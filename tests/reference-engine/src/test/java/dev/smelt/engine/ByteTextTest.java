package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ByteTextTest {

  @Test
  void shouldShowACharacterWhenItsLastByteHasCome() {
    ByteText text = new ByteText();

    assertThat(text.append('a')).isEqualTo("a");
    assertThat(text.append(0xe2)).isEmpty();
    assertThat(text.append(0x82)).isEmpty();
    assertThat(text.append(0xac)).isEqualTo("€");
    assertThat(text.append(0xf0)).isEmpty();
    assertThat(text.append(0x9f)).isEmpty();
    assertThat(text.append(0x98)).isEmpty();
    assertThat(text.append(0x80)).isEqualTo("😀");
    assertThat(text.end()).isEmpty();
  }

  @Test
  void shouldReplaceBytesThatCanNotBecomeACharacter() {
    ByteText text = new ByteText();

    assertThat(text.append(0xc3)).isEmpty();
    assertThat(text.append('x')).isEqualTo("\ufffdx");
    assertThat(text.append(0xff)).isEqualTo("\ufffd");
    assertThat(text.append(0xe2)).isEmpty();
    assertThat(text.end()).isEqualTo("\ufffd");
  }

  @Test
  void shouldStartEachTextWithByteZero() {
    assertThat(ByteText.tokens("é")).containsExactly(0, 0xc3, 0xa9);
    assertThat(ByteText.text(new int[] {0, 0xc3, 0xa9, 'b'}, 1, 3)).isEqualTo("é");
  }

  @Test
  void shouldNameTokens() {
    assertThat(ByteText.name('a')).isEqualTo("a");
    assertThat(ByteText.name(0xc3)).isEqualTo("bytes:\\xc3");
  }
}
