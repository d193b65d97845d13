package dev.smelt.agent.api;

/**
 * One server-sent event.
 *
 * @param id its place
 * @param type {@code state}, {@code journal}, {@code drift} or {@code traffic}
 * @param data JSON on one line
 */
record Event(EventId id, String type, String data) {

  /** The event as it goes over the wire. */
  String frame() {
    return "id: " + id + "\nevent: " + type + "\ndata: " + data + "\n\n";
  }
}
