package dev.smelt.engine;

import io.vertx.core.json.DecodeException;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.HttpException;
import java.io.UncheckedIOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Turns failures into answers with errors in OpenAI's form. */
final class Failures {

  private static final Logger LOG = LoggerFactory.getLogger(Failures.class);

  private Failures() {}

  static void answer(RoutingContext context) {
    Throwable failure = context.failure();
    int status = status(failure, context.statusCode());
    if (status >= 500 && failure != null && !(failure instanceof RequestException)) {
      LOG.atError()
          .setCause(failure)
          .addKeyValue("path", context.request().path())
          .log("Request failed");
    }
    if (context.response().ended() || context.response().closed()) {
      return;
    }
    String parameter =
        failure instanceof RequestException request ? request.parameter().orElse(null) : null;
    String message =
        failure == null
            ? context.request().method() + " " + context.request().path() + " is not offered"
            : message(failure);
    context
        .response()
        .setStatusCode(status)
        .putHeader("content-type", "application/json")
        .end(Answers.error(status, message, parameter).encode());
  }

  private static int status(Throwable failure, int routed) {
    if (failure instanceof RequestException request) {
      return request.status();
    }
    if (failure instanceof HttpException http) {
      return http.getStatusCode();
    }
    if (failure instanceof DecodeException) {
      return 400;
    }
    return routed < 0 || failure != null ? 500 : routed;
  }

  /** One line that says what is wrong. */
  static String message(Throwable failure) {
    Throwable cause =
        failure instanceof UncheckedIOException && failure.getCause() != null
            ? failure.getCause()
            : failure;
    if (cause instanceof NoSuchFileException missing) {
      return missing.getFile() + ": no such file or folder";
    }
    if (cause instanceof NotDirectoryException file) {
      return file.getFile() + ": is not a folder";
    }
    if (cause instanceof DecodeException) {
      return "the body is not valid JSON";
    }
    String message = cause.getMessage();
    return message == null || message.isBlank() ? cause.getClass().getSimpleName() : message;
  }
}
