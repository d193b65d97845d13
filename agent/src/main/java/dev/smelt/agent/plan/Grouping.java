package dev.smelt.agent.plan;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Which experts of a layer form a group: the most used ones are dominant, every other one joins the
 * dominant expert it is most like (M-SMoE, section 3.1).
 *
 * @param dominant the dominant expert of each group, by falling frequency
 * @param labels the group of each expert
 */
record Grouping(int[] dominant, int[] labels) {

  /** Ties go to the lower expert and to the group that comes first. */
  static Grouping around(int groups, double[] frequency, SimilarityMatrix similarity) {
    int[] order = byFallingFrequency(frequency);
    int[] dominant = Arrays.copyOf(order, groups);
    int[] labels = new int[frequency.length];
    for (int group = 0; group < groups; group++) {
      labels[dominant[group]] = group;
    }
    for (int position = groups; position < order.length; position++) {
      int expert = order[position];
      int nearest = 0;
      for (int group = 1; group < groups; group++) {
        if (similarity.between(expert, dominant[group])
            > similarity.between(expert, dominant[nearest])) {
          nearest = group;
        }
      }
      labels[expert] = nearest;
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
