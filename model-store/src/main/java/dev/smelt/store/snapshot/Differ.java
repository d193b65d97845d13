package dev.smelt.store.snapshot;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Compares the manifests of two snapshots. */
final class Differ {

  private static final Pattern GROUP = Pattern.compile("(.+)\\.groups\\.([0-9]{1,9})\\.(.+)");
  private static final Pattern MAP = Pattern.compile("(.+)\\.experts\\.map");

  /** Reads an expert map of a snapshot. */
  private final BiFunction<Manifest, String, int[]> maps;

  Differ(BiFunction<Manifest, String, int[]> maps) {
    this.maps = maps;
  }

  SnapshotDiff compare(Manifest from, Manifest to) {
    List<String> added = new ArrayList<>();
    List<String> removed = new ArrayList<>();
    List<String> changed = new ArrayList<>();
    int unchanged = 0;
    for (Map.Entry<String, StoredTensor> entry : to.tensors().entrySet()) {
      StoredTensor before = from.tensors().get(entry.getKey());
      if (before == null) {
        added.add(entry.getKey());
      } else if (before.equals(entry.getValue())) {
        unchanged++;
      } else {
        changed.add(entry.getKey());
      }
    }
    for (String name : from.tensors().keySet()) {
      if (!to.tensors().containsKey(name)) {
        removed.add(name);
      }
    }
    Set<String> blocks = new TreeSet<>();
    for (List<String> names : List.of(added, removed, changed)) {
      names.forEach(name -> block(name, blocks));
    }
    Map<String, List<Integer>> groups = new TreeMap<>();
    Map<String, List<Integer>> experts = new TreeMap<>();
    for (String block : blocks) {
      groups.put(block, changedGroups(block, from, to));
      experts.put(block, changedExperts(block, from, to));
    }
    return new SnapshotDiff(
        from.id(), to.id(), added, removed, changed, unchanged, toFetch(from, to), groups, experts);
  }

  private static void block(String name, Set<String> blocks) {
    for (Pattern pattern : List.of(GROUP, MAP)) {
      Matcher matcher = pattern.matcher(name);
      if (matcher.matches()) {
        blocks.add(matcher.group(1));
      }
    }
  }

  private static long toFetch(Manifest from, Manifest to) {
    Set<String> known = new HashSet<>();
    from.tensors().values().forEach(tensor -> known.add(tensor.digest()));
    long bytes = 0;
    for (StoredTensor tensor : to.tensors().values()) {
      bytes += known.add(tensor.digest()) ? tensor.bytes() : 0;
    }
    return bytes;
  }

  /** For each group of a block, its tensors by what follows the group's number. */
  private static Map<Integer, Map<String, StoredTensor>> groups(String block, Manifest manifest) {
    Map<Integer, Map<String, StoredTensor>> groups = new TreeMap<>();
    manifest
        .tensors()
        .forEach(
            (name, tensor) -> {
              Matcher matcher = GROUP.matcher(name);
              if (matcher.matches() && matcher.group(1).equals(block)) {
                groups
                    .computeIfAbsent(Integer.parseInt(matcher.group(2)), group -> new HashMap<>())
                    .put(matcher.group(3), tensor);
              }
            });
    return groups;
  }

  private static List<Integer> changedGroups(String block, Manifest from, Manifest to) {
    Map<Integer, Map<String, StoredTensor>> before = groups(block, from);
    List<Integer> changed = new ArrayList<>();
    groups(block, to)
        .forEach(
            (group, tensors) -> {
              if (!tensors.equals(before.get(group))) {
                changed.add(group);
              }
            });
    return changed;
  }

  private List<Integer> changedExperts(String block, Manifest from, Manifest to) {
    List<Map<String, StoredTensor>> before = experts(block, from);
    List<Map<String, StoredTensor>> after = experts(block, to);
    List<Integer> changed = new ArrayList<>();
    for (int expert = 0; expert < Math.max(before.size(), after.size()); expert++) {
      if (expert >= before.size()
          || expert >= after.size()
          || !before.get(expert).equals(after.get(expert))) {
        changed.add(expert);
      }
    }
    return changed;
  }

  /** For each expert of a block, the tensors of the group that it leads to; none if masked. */
  private List<Map<String, StoredTensor>> experts(String block, Manifest manifest) {
    String map = block + ".experts.map";
    List<Map<String, StoredTensor>> experts = new ArrayList<>();
    if (manifest.tensors().containsKey(map)) {
      Map<Integer, Map<String, StoredTensor>> groups = groups(block, manifest);
      for (int group : maps.apply(manifest, map)) {
        experts.add(groups.getOrDefault(group, Map.of()));
      }
    }
    return experts;
  }
}
