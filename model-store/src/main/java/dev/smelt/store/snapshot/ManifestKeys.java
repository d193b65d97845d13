package dev.smelt.store.snapshot;

import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.util.List;
import java.util.Optional;

/**
 * Ed25519 keys for manifests (RFC 8032).
 *
 * @param signer signs what is published
 * @param trusted if there are any, a manifest without a signature by one of them is refused
 */
public record ManifestKeys(Optional<PrivateKey> signer, List<PublicKey> trusted) {

  private static final String ALGORITHM = "Ed25519";

  /** Neither signs nor checks. */
  public static final ManifestKeys NONE = new ManifestKeys(Optional.empty(), List.of());

  public ManifestKeys {
    trusted = List.copyOf(trusted);
  }

  Optional<byte[]> sign(byte[] manifest) {
    return signer.map(
        key -> {
          try {
            Signature signature = Signature.getInstance(ALGORITHM);
            signature.initSign(key);
            signature.update(manifest);
            return signature.sign();
          } catch (GeneralSecurityException e) {
            throw new IllegalStateException("the signing key is no Ed25519 key", e);
          }
        });
  }

  boolean checks() {
    return !trusted.isEmpty();
  }

  boolean accepts(byte[] manifest, byte[] signed) {
    return trusted.stream().anyMatch(key -> verifies(key, manifest, signed));
  }

  private static boolean verifies(PublicKey key, byte[] manifest, byte[] signed) {
    try {
      Signature signature = Signature.getInstance(ALGORITHM);
      signature.initVerify(key);
      signature.update(manifest);
      return signature.verify(signed);
    } catch (GeneralSecurityException e) {
      return false;
    }
  }
}
