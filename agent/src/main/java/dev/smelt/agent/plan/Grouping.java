package dev.smelt.agent.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Which experts of a layer form a group: the most used ones are dominant, every other one joins the
 * dominant expert it is most like (M-SMoE, section 3.1).
 *
 * @param dominant the dominant expert of each group, by falling frequency
 * @param labels the group of each expert
 */
record Grouping(int[] dominant, int[] labels) {

  /**
   * Ties go to the lower expert and to the group that comes first.
   *
   * @param most experts that a group may have; an expert whose nearest group is full joins the
   *     nearest that is not
   */
  static Grouping around(int groups, int most, double[] frequency, SimilarityMatrix similarity) {
    int[] order = byFallingFrequency(frequency);
    int[] dominant = Arrays.copyOf(order, groups);
    int[] labels = new int[frequency.length];
    for (int group = 0; group < groups; group++) {
      labels[dominant[group]] = group;
    }
    int[] members = new int[groups];
    Arrays.fill(members, 1);
    for (int position = groups; position < order.length; position++) {
      int expert = order[position];
      int nearest = -1;
      for (int group = 0; group < groups; group++) {
        if (members[group] < most
            && (nearest < 0
                || similarity.between(expert, dominant[group])
                    > similarity.between(expert, dominant[nearest]))) {
          nearest = group;
        }
      }
      labels[expert] = nearest;
      members[nearest]++;
    }
    return new Grouping(dominant, labels);
  }

  /**
   * The groups' first experts are the most salient ones; in their order each takes the most similar
   * of the experts that are left, until it has as many as a group may have.
   */
  static Grouping filling(int groups, int most, double[] saliency, SimilarityMatrix similarity) {
    int[] order = byFallingFrequency(saliency);
    int[] dominant = Arrays.copyOf(order, groups);
    int[] labels = new int[saliency.length];
    for (int group = 0; group < groups; group++) {
      labels[dominant[group]] = group;
    }
    List<Integer> left =
        Arrays.stream(order).skip(groups).boxed().collect(Collectors.toCollection(ArrayList::new));
    int capacity = Math.max(most, (saliency.length + groups - 1) / groups);
    for (int group = 0; group < groups && !left.isEmpty(); group++) {
      int centre = dominant[group];
      left.sort(
          Comparator.comparingDouble((Integer expert) -> similarity.between(centre, expert))
              .reversed());
      List<Integer> taken = left.subList(0, Math.min(capacity - 1, left.size()));
      for (int expert : taken) {
        labels[expert] = group;
      }
      taken.clear();
    }
    return new Grouping(dominant, labels);
  }

  static int[] byFallingFrequency(double[] frequency) {
    return IntStream.range(0, frequency.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer expert) -> frequency[expert]).reversed())
        .mapToInt(Integer::intValue)
        .toArray();
  }
}
