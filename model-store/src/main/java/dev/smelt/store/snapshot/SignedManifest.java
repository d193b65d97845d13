package dev.smelt.store.snapshot;

import java.util.Optional;

/**
 * A manifest as it is stored and sent.
 *
 * @param bytes its JSON, which its id and its signature are made from
 * @param signature Ed25519, in base64
 */
@SuppressWarnings("ArrayRecordComponent")
public record SignedManifest(byte[] bytes, Optional<String> signature) {}
