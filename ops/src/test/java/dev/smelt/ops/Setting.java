package dev.smelt.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * One setting of the configuration file.
 *
 * @param path as in {@code models[].policy.mode}
 * @param kind what can be written
 * @param fallback the default as it is written; empty where there is none
 * @param required whether it has to be written
 * @param what it is, as its record documents it
 * @param section whether it only holds further settings
 */
record Setting(
    String path, String kind, String fallback, boolean required, String what, boolean section) {

  private static final int WIDTH = 100;

  private static final Map<String, String> SAMPLES =
      Map.of(
          "models[].name", "my-model",
          "models[].checkpoint", "/models/my-model",
          "models[].engine.urls", "[\"http://127.0.0.1:30000\"]",
          "models[].engine.dialect", "sglang");

  /** The setting in the sample, its documentation above it; nothing for a part of a token. */
  String yaml() {
    if (path.contains("tokens[]")) {
      return "";
    }
    String name = path.substring(path.lastIndexOf('.') + 1);
    boolean first = path.equals("models[].name");
    String indent = "  ".repeat(depth());
    StringBuilder yaml = new StringBuilder(depth() == 0 ? "\n" : "");
    for (String line : wrapped(WIDTH - indent.length())) {
      yaml.append(first ? "  " : indent).append("# ").append(line).append('\n');
    }
    if (section) {
      return yaml.append(indent).append(name).append(":\n").toString();
    }
    if (required) {
      String key = first ? "  - " + name : indent + name;
      return yaml.append(key).append(": ").append(SAMPLES.get(path)).append('\n').toString();
    }
    String mark = fallback.isEmpty() ? "# " : "#= ";
    return yaml.append(indent)
        .append(mark)
        .append(name)
        .append(fallback.isEmpty() ? ":" : ": " + fallback)
        .append('\n')
        .toString();
  }

  private int depth() {
    int dots = path.length() - path.replace(".", "").length();
    return path.startsWith("models[].") ? dots + 1 : dots;
  }

  private List<String> wrapped(int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : what.split(" ")) {
      if (line.length() > 0 && line.length() + word.length() >= width) {
        lines.add(line.toString());
        line.setLength(0);
      }
      line.append(line.length() == 0 ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }
}
