package dev.smelt.agent.api;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The body of everything that a person asks for.
 *
 * @param reason why; logged and shown, not blank
 * @param snapshot which snapshot, where one can be named
 */
record OperatorRequest(@Nullable String reason, @Nullable String snapshot) {

  private static final int LONGEST_REASON = 500;
  private static final Pattern SNAPSHOT = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");

  OperatorRequest {
    if (reason == null || reason.isBlank()) {
      throw new BadRequest("say why in 'reason'; it is kept in the journal");
    }
    if (reason.length() > LONGEST_REASON) {
      throw new BadRequest("'reason' is over " + LONGEST_REASON + " characters");
    }
    if (reason.codePoints().anyMatch(Character::isISOControl)) {
      throw new BadRequest("'reason' must be one line without control characters");
    }
    if (snapshot != null && !SNAPSHOT.matcher(snapshot).matches()) {
      throw new BadRequest("'snapshot' is no snapshot id; GET .../snapshots lists them");
    }
  }

  static OperatorRequest parse(byte[] body) {
    try {
      return ApiJson.read(body, OperatorRequest.class);
    } catch (UnrecognizedPropertyException e) {
      throw new BadRequest(
          "unknown field '" + e.getPropertyName() + "'; the known ones are reason and snapshot");
    } catch (JacksonException e) {
      if (e.getCause() instanceof BadRequest refusal) {
        throw refusal;
      }
      throw new BadRequest("the body must be a JSON object such as {\"reason\": \"...\"}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String why() {
    return String.valueOf(reason).strip();
  }

  Optional<String> snapshotId() {
    return Optional.ofNullable(snapshot);
  }
}
