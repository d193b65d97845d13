package dev.smelt.agent.swap;

import java.util.Optional;

/** The steps by which one kind of engine exchanges its weights in place. */
interface InPlaceProtocol {

  /** Whether the engine answers and may be swapped at all; changes nothing. */
  Outcome ready();

  /** Stops generation without losing requests. */
  Outcome pause();

  /** Loads weights and forgets what was computed with others. */
  Outcome load(Serving weights);

  /** Whether the engine stands by having loaded these weights. */
  Outcome verify(Serving weights);

  /** Starts generation again. */
  Outcome resume();

  /** The version of the weights that the engine serves, where it can tell. */
  Optional<String> version();
}
