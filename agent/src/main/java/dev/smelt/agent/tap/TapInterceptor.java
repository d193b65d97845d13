package dev.smelt.agent.tap;

import dev.smelt.agent.tap.RequestPlan.Wish;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.httpproxy.Body;
import io.vertx.httpproxy.ProxyContext;
import io.vertx.httpproxy.ProxyInterceptor;
import io.vertx.httpproxy.ProxyResponse;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** Asks for routed experts on the way to the engine and takes them out on the way back. */
final class TapInterceptor implements ProxyInterceptor {

  private static final String EXCHANGE = "smelt.exchange";
  private static final Set<String> ROUTES =
      Set.of("/v1/completions", "/v1/chat/completions", "/generate", "/inference/v1/generate");

  private final ProxySettings settings;
  private final TapHealth health;
  private final Consumer<Capture> sink;
  private final Consumer<TokenScores> scores;
  private final Supplier<String> servedSnapshot;

  /** Whether the engine has been seen to send routed experts in vLLM's form, asked or not. */
  private volatile boolean volunteers;

  /**
   * What is known of a request whose answer is to be read.
   *
   * @param body the request as the client wrote it
   * @param asks whether the tap put its question into the request
   * @param sampled whether the decisions are to be used
   * @param snapshot what was served when the request was sent
   */
  private record Exchange(
      RequestPlan plan, Buffer body, boolean asks, boolean sampled, String snapshot) {

    int startLength(int knownPrefix) {
      return plan.startLength().orElse(asks ? knownPrefix : 0);
    }
  }

  TapInterceptor(
      ProxySettings settings,
      TapHealth health,
      Consumer<Capture> sink,
      Consumer<TokenScores> scores,
      Supplier<String> servedSnapshot) {
    this.settings = settings;
    this.health = health;
    this.sink = sink;
    this.scores = scores;
    this.servedSnapshot = servedSnapshot;
  }

  @Override
  public Future<ProxyResponse> handleProxyRequest(ProxyContext context) {
    HttpServerRequest request = context.request().proxiedRequest();
    boolean sampled = ThreadLocalRandom.current().nextDouble() < settings.share() && health.asks();
    if (!(sampled || volunteers) || !readable(request)) {
      return context.sendRequest();
    }
    Future<Buffer> body = request.body();
    request.resume();
    return body.compose(
        bytes -> {
          byte[] written = bytes.getBytes();
          Exchange exchange =
              RequestPlan.of(written).flatMap(plan -> exchange(plan, bytes, sampled)).orElse(null);
          context.set(EXCHANGE, exchange);
          Buffer sent = bytes;
          if (exchange != null) {
            context.request().headers().remove(HttpHeaders.ACCEPT_ENCODING);
            if (exchange.asks()) {
              sent = Buffer.buffer(exchange.plan().asking(written, settings.knownPrefix()));
            }
          }
          context.request().setBody(Body.body(sent));
          return context.sendRequest().compose(answer -> againIfRefused(context, answer));
        });
  }

  private boolean readable(HttpServerRequest request) {
    if (!request.method().equals(HttpMethod.POST)
        || !ROUTES.contains(request.path())
        || request.headers().contains(HttpHeaders.CONTENT_ENCODING)) {
      return false;
    }
    String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
    try {
      return length != null && Long.parseLong(length) <= settings.maxRequestBytes();
    } catch (NumberFormatException notANumber) {
      return false;
    }
  }

  /** What to do with a request; nothing if its answer cannot tell or the client declines. */
  private Optional<Exchange> exchange(RequestPlan plan, Buffer body, boolean sampled) {
    boolean unasked = volunteers || !settings.dialect().asksInRequest();
    if (plan.wish() == Wish.DECLINES || (unasked && plan.streams())) {
      return Optional.empty();
    }
    boolean asks = sampled && !unasked && plan.wish() == Wish.SILENT;
    return Optional.of(new Exchange(plan, body, asks, sampled, servedSnapshot.get()));
  }

  /** Sends the request as the client wrote it where the engine may have refused the question. */
  private Future<ProxyResponse> againIfRefused(ProxyContext context, ProxyResponse answer) {
    Exchange exchange = context.get(EXCHANGE, Exchange.class);
    int status = answer.getStatusCode();
    if (exchange == null || !exchange.asks() || (status != 400 && status != 422)) {
      return Future.succeededFuture(answer);
    }
    answer.release();
    context.set(EXCHANGE, null);
    context.request().setBody(Body.body(exchange.body()));
    return context
        .sendRequest()
        .onSuccess(
            second -> {
              if (second.getStatusCode() < 300) {
                health.refused("status " + status + " with the field, success without it");
              }
            });
  }

  @Override
  public Future<Void> handleProxyResponse(ProxyContext context) {
    Exchange exchange = context.get(EXCHANGE, Exchange.class);
    ProxyResponse answer = context.response();
    if (exchange == null || answer.getStatusCode() != 200) {
      return context.sendResponse();
    }
    String encoding = answer.headers().get(HttpHeaders.CONTENT_ENCODING);
    if (encoding != null && !encoding.equalsIgnoreCase("identity")) {
      health.failed(TapFault.COMPRESSED, "content-encoding " + encoding);
      return context.sendResponse();
    }
    String type =
        String.valueOf(answer.headers().get(HttpHeaders.CONTENT_TYPE)).toLowerCase(Locale.ROOT);
    if (type.startsWith("text/event-stream")) {
      return streamed(context, exchange);
    }
    return type.startsWith("application/json") ? whole(context, exchange) : context.sendResponse();
  }

  private Future<Void> streamed(ProxyContext context, Exchange exchange) {
    ProxyResponse answer = context.response();
    EventFilter filter =
        new EventFilter(
            settings.maxAnswerBytes(),
            event -> read(event, exchange).map(read -> shown(read, exchange)).orElse(event));
    answer.headers().remove(HttpHeaders.CONTENT_LENGTH);
    Body body = answer.getBody();
    answer.setBody(Body.body(new FilteredStream(body.stream(), filter), -1, body.mediaType()));
    return context.sendResponse();
  }

  private Future<Void> whole(ProxyContext context, Exchange exchange) {
    ProxyResponse answer = context.response();
    Body body = answer.getBody();
    return AnswerBody.read(body.stream(), body.length(), settings.maxAnswerBytes())
        .compose(
            read -> {
              if (read instanceof AnswerBody.Whole whole) {
                answer.setBody(sized(shown(whole.bytes(), exchange), body.mediaType()));
              } else if (read instanceof AnswerBody.TooLarge large) {
                health.failed(
                    TapFault.ANSWER_TOO_LARGE, "more than " + settings.maxAnswerBytes() + " bytes");
                answer.setBody(Body.body(large.stream(), body.length(), body.mediaType()));
              }
              return context.sendResponse();
            });
  }

  private static Body sized(Buffer bytes, String mediaType) {
    return Body.body(Body.body(bytes).stream(), bytes.length(), mediaType);
  }

  private Buffer shown(Buffer whole, Exchange exchange) {
    Optional<Answer> answer = read(whole.getBytes(), exchange);
    if (exchange.sampled() && answer.isPresent() && !answer.get().carriesExperts()) {
      health.failed(TapFault.MISSING, "no routed_experts in the answer");
    }
    return answer.map(read -> Buffer.buffer(shown(read, exchange))).orElse(whole);
  }

  private static byte[] shown(Answer answer, Exchange exchange) {
    return exchange.plan().wish() == Wish.ASKS ? answer.untouched() : answer.stripped();
  }

  /** Reads an answer and hands over what it says about routing. */
  private Optional<Answer> read(byte[] json, Exchange exchange) {
    try {
      Answer answer = Answer.read(json);
      if (exchange.sampled()) {
        scores.accept(answer.scores());
      }
      if (answer.carriesExperts()) {
        List<Payload> payloads = answer.payloads(exchange.startLength(settings.knownPrefix()));
        volunteers = volunteers || payloads.get(0).isNpy();
        if (exchange.sampled()) {
          sink.accept(new Capture(payloads, exchange.snapshot()));
        }
      }
      return Optional.of(answer);
    } catch (PayloadException unreadable) {
      health.failed(unreadable.fault(), unreadable.getMessage());
      return Optional.empty();
    }
  }
}
