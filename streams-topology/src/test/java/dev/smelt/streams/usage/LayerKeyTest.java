package dev.smelt.streams.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class LayerKeyTest {

  @Test
  void shouldReadBackModelsWithSlashes() {
    LayerKey key = new LayerKey("mistralai/Mixtral-8x7B", "model.layers.3.block_sparse_moe");

    assertThat(LayerKey.parse(key.toString())).isEqualTo(key);
  }

  @Test
  void shouldRefuseTextWithoutALayer() {
    assertThatThrownBy(() -> LayerKey.parse("model")).hasMessageContaining("'model'");
    assertThatThrownBy(() -> LayerKey.parse("model/")).hasMessageContaining("model");
  }

  @Test
  void shouldKnowItsOwnText() {
    LayerKey key = new LayerKey("org/model", "layers.0");

    assertThat(key.isWritten("org/model/layers.0")).isTrue();
    assertThat(key.isWritten("org/model/layers.1")).isFalse();
    assertThat(key.isWritten("org/models/layers.0")).isFalse();
    assertThat(key.isWritten("org/model-layers.0")).isFalse();
  }
}
