package dev.smelt.agent.config;

import java.nio.file.Path;
import java.util.List;

/**
 * What a candidate must hold before it may serve.
 *
 * <p>The texts are held-out samples of what the model may be asked, one file a kind. The gate
 * weighs them by how much each explains the live profile, so that a candidate is judged on the
 * traffic of now without any of it being stored. Without texts the gate lets every candidate pass
 * and says so.
 *
 * @param texts the files; none by default
 * @param bytesPerText how much of each file is scored, from its end; 16,384 by default
 * @param maximumLoss the most bits per byte that a candidate may lose against the full model; 0.5
 *     by default
 * @param minimumGain the least bits per byte that it must gain over the active snapshot; 0 by
 *     default
 * @param recallGain the least bits per byte that an earlier snapshot must gain over the active one
 *     to serve again; 0.01 by default: a recall costs no merge but makes the engine swap, and two
 *     snapshots that are about as good should not take turns
 */
public record GateSettings(
    List<Path> texts,
    Integer bytesPerText,
    Double maximumLoss,
    Double minimumGain,
    Double recallGain) {

  static final GateSettings DEFAULT = new GateSettings(null, null, null, null, null);

  public GateSettings {
    texts = List.copyOf(Settings.orElse(texts, List.of()));
    bytesPerText = Settings.orElse(bytesPerText, 16_384);
    Settings.require(
        bytesPerText >= 256 && bytesPerText <= 1 << 24, "bytesPerText", "use 256 to 16777216");
    maximumLoss = Settings.orElse(maximumLoss, 0.5);
    Settings.require(maximumLoss >= 0, "maximumLoss", "use 0 or more bits per byte");
    minimumGain = Settings.orElse(minimumGain, 0.0);
    Settings.require(!minimumGain.isNaN(), "minimumGain", "use a number of bits per byte");
    recallGain = Settings.orElse(recallGain, 0.01);
    Settings.require(!recallGain.isNaN(), "recallGain", "use a number of bits per byte");
  }

  GateSettings resolvedAgainst(Path folder) {
    return new GateSettings(
        texts.stream().map(text -> folder.resolve(text).normalize()).toList(),
        bytesPerText,
        maximumLoss,
        minimumGain,
        recallGain);
  }
}
