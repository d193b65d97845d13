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
}
