package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.TiledMerge.Reordered;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The average of a group's members, made when it is asked for: weight by weight in the stored type,
 * or as a whole in 32-bit floats.
 */
public final class MergedExpert {

  /**
   * A member of the group.
   *
   * @param permutation neuron i of the average takes neuron p(i); null for the stored order
   */
  record Member(int expert, double weight, int @Nullable [] permutation) {}

  private final Checkpoint checkpoint;
  private final MoeBlock block;
  private final List<Member> members;
  private final double scale;
  private @Nullable ExpertWeights weights;

  private MergedExpert(Checkpoint checkpoint, MoeBlock block, List<Member> members, double scale) {
    this.checkpoint = checkpoint;
    this.block = block;
    this.members = List.copyOf(members);
    this.scale = scale;
  }

  /** An expert that stays as it is. */
  static MergedExpert alone(Checkpoint checkpoint, MoeBlock block, int expert) {
    return new MergedExpert(checkpoint, block, List.of(new Member(expert, 1, null)), 1);
  }

  /** {@code sum f_e W_e / (sum f_e + 1e-7)}. */
  static MergedExpert average(Checkpoint checkpoint, MoeBlock block, List<Member> members) {
    double total = members.stream().mapToDouble(Member::weight).sum();
    return new MergedExpert(checkpoint, block, members, 1 / (total + WeightedMerge.EPSILON));
  }

  /**
   * All weights in 32-bit floats.
   *
   * @throws MergeException if a weight of the checkpoint is NaN or infinite
   */
  public ExpertWeights weights() {
    ExpertWeights known = weights;
    if (known == null) {
      known = contiguous() ? tiled() : oneByOne();
      weights = known;
    }
    return known;
  }

  /**
   * One weight in its stored type, little-endian and row-major.
   *
   * @throws MergeException if a weight of the checkpoint is NaN or infinite
   */
  public byte[] stored(Role role) {
    if (contiguous()) {
      try {
        return merge(role).bytes();
      } catch (TiledMerge.NotFinite damaged) {
        throw culprit(role, damaged);
      }
    }
    DType dtype = checkpoint.expertDType(block, role);
    float[] values = weights().matrix(role).values();
    byte[] bytes = new byte[Math.multiplyExact(values.length, dtype.bytes())];
    Floats.encode(
        values, 0, values.length, dtype, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    return bytes;
  }

  private boolean contiguous() {
    return block.roles().stream()
        .allMatch(role -> checkpoint.expertBytes(block, members.get(0).expert(), role).isPresent());
  }

  private ExpertWeights tiled() {
    Map<Role, Matrix> matrices = new EnumMap<>(Role.class);
    for (Role role : block.roles()) {
      TiledMerge merge = merge(role);
      try {
        matrices.put(role, new Matrix(merge.rows(), merge.cols(), merge.floats()));
      } catch (TiledMerge.NotFinite damaged) {
        throw culprit(role, damaged);
      }
    }
    return new ExpertWeights(matrices);
  }

  private TiledMerge merge(Role role) {
    int rows = role.bias() ? 1 : role.rows(block.hidden(), block.width());
    List<TiledMerge.Part> parts = new ArrayList<>();
    for (Member member : members) {
      Optional<ByteBuffer> stored = checkpoint.expertBytes(block, member.expert(), role);
      parts.add(
          new TiledMerge.Part(
              stored.orElseThrow(),
              (float) member.weight(),
              role == Role.DOWN_BIAS ? null : member.permutation()));
    }
    return new TiledMerge(
        checkpoint.expertDType(block, role),
        rows,
        block.elements(role) / rows,
        switch (role) {
          case GATE, UP -> Reordered.ROWS;
          case DOWN, GATE_BIAS, UP_BIAS -> Reordered.COLUMNS;
          case DOWN_BIAS -> Reordered.NOTHING;
        },
        parts,
        (float) scale);
  }

  private ExpertWeights oneByOne() {
    if (members.size() == 1) {
      return ExpertWeights.read(checkpoint, block, members.get(0).expert());
    }
    WeightedMerge merge = new WeightedMerge();
    for (Member member : members) {
      ExpertWeights expert = ExpertWeights.read(checkpoint, block, member.expert());
      if (member.permutation() == null) {
        merge.add(expert, member.weight());
      } else {
        merge.add(expert, member.weight(), member.permutation());
      }
    }
    return merge.result();
  }

  /** Reads the members again to name the one that is damaged. */
  private MergeException culprit(Role role, TiledMerge.NotFinite damaged) {
    for (Member member : members) {
      ExpertWeights.read(checkpoint, block, member.expert());
    }
    throw new MergeException(
        "%s: the sum of %s over %d experts exceeds 32-bit floats"
            .formatted(block.name(), role, members.size()),
        damaged);
  }
}
