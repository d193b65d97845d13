package dev.smelt.agent.tap;

import java.util.List;

/**
 * What one answer says about routing, not yet decoded.
 *
 * @param payloads one for each choice
 * @param snapshot the snapshot that was served when the request was sent
 */
record Capture(List<Payload> payloads, String snapshot) {

  long bytes() {
    return payloads.stream().mapToLong(payload -> payload.base64().remaining()).sum();
  }
}
