package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.Future;
import org.junit.jupiter.api.Test;

class AdmissionTest {

  @Test
  void shouldHoldRequestsWhilePausedAndLetThemInTogether() {
    Admission admission = new Admission(10);
    admission.pause();

    Future<Void> first = admission.enter();
    Future<Void> second = admission.enter();

    assertThat(first.isComplete()).isFalse();
    admission.resume();
    assertThat(first.succeeded()).isTrue();
    assertThat(second.succeeded()).isTrue();
    assertThat(admission.unfinished()).isEqualTo(2);
  }

  @Test
  void shouldBeDrainedWhenTheLastRunningRequestHasLeft() {
    Admission admission = new Admission(10);
    admission.enter();
    admission.enter();
    admission.pause();
    Future<Void> drained = admission.drained();

    admission.leave();
    assertThat(drained.isComplete()).isFalse();
    admission.leave();

    assertThat(drained.succeeded()).isTrue();
    assertThat(admission.drained().succeeded()).isTrue();
  }

  @Test
  void shouldTurnAwayRequestsBeyondTheLimit() {
    Admission admission = new Admission(2);
    admission.enter();
    admission.pause();
    admission.enter();

    Future<Void> third = admission.enter();

    assertThat(third.failed()).isTrue();
    assertThat(((RequestException) third.cause()).status()).isEqualTo(503);
    assertThat(third.cause()).hasMessageContaining("2 unfinished requests");
  }

  @Test
  void shouldTellRunningRequestsToEnd() {
    Admission admission = new Admission(2);
    int before = admission.aborts();

    admission.abort();

    assertThat(admission.aborts()).isNotEqualTo(before);
  }
}
