package dev.smelt.engine;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How an engine is started.
 *
 * @param checkpoint folder of the first weights
 * @param host address to listen on
 * @param port to listen on, 0 for any free one
 * @param model name that it is served under
 * @param dialect whose interface it speaks
 * @param routedExperts whether each answer in vLLM's form carries routed experts; in SGLang's form
 *     the request decides
 * @param workers requests that are calculated at the same time
 * @param tap where routing traces with router logits go
 * @param momentsTap where second moments of the first weights' experts go
 * @param momentsShare share of the requests that they are measured on, over 0 and up to 1
 */
record EngineOptions(
    Path checkpoint,
    String host,
    int port,
    String model,
    Dialect dialect,
    boolean routedExperts,
    int workers,
    Optional<URI> tap,
    Optional<URI> momentsTap,
    double momentsShare) {}
