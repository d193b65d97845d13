package dev.smelt.agent.api;

import dev.smelt.agent.control.BlockTraffic;
import dev.smelt.agent.control.DriftPoint;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.LoopState;
import dev.smelt.agent.control.LoopStatus;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.control.Signal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/** A loop that can only be asked for activations, and answers them as a test says. */
final class ActivationStub implements ModelControl {

  private final String model;
  private final Function<String, Outcome> answer;
  private final List<Request> asked = new ArrayList<>();

  ActivationStub(String model, Function<String, Outcome> answer) {
    this.model = model;
    this.answer = answer;
  }

  List<Request> asked() {
    return asked;
  }

  @Override
  public String model() {
    return model;
  }

  @Override
  public CompletionStage<Outcome> activate(String snapshot, Request request) {
    asked.add(request);
    return CompletableFuture.completedFuture(answer.apply(snapshot));
  }

  @Override
  public CompletionStage<Outcome> rollback(Optional<String> snapshot, Request request) {
    return activate(snapshot.orElseThrow(), request);
  }

  @Override
  public void signal(Signal signal) {
    throw new UnsupportedOperationException();
  }

  @Override
  public LoopState state() {
    throw new UnsupportedOperationException();
  }

  @Override
  public LoopStatus status() {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<BlockTraffic> traffic() {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<DriftPoint> drift(int most) {
    throw new UnsupportedOperationException();
  }

  @Override
  public List<Journal.Entry> journal(int most) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Outcome> remerge(Request request) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Outcome> approve(Request request) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Outcome> reject(Request request) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Outcome> pause(Request request) {
    throw new UnsupportedOperationException();
  }

  @Override
  public CompletionStage<Outcome> resume(Request request) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void signal(Signal signal) {
    throw new UnsupportedOperationException();
  }
}
