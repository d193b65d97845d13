package dev.smelt.store.snapshot;

import static dev.smelt.store.snapshot.Snapshots.MODEL;
import static dev.smelt.store.snapshot.Snapshots.publish;
import static dev.smelt.store.snapshot.Snapshots.tensor;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestKeysTest {

  @TempDir Path root;

  private static KeyPair pair() throws Exception {
    return KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
  }

  private SnapshotStore open(ManifestKeys keys) {
    return SnapshotStore.open(root, Clock.systemUTC(), keys);
  }

  @Test
  void shouldReadWhatATrustedKeySigned() throws Exception {
    KeyPair pair = pair();
    Manifest manifest =
        publish(open(new ManifestKeys(Optional.of(pair.getPrivate()), List.of())), tensor("a", 1));
    ManifestKeys trusting =
        new ManifestKeys(Optional.empty(), List.of(pair().getPublic(), pair.getPublic()));
    assertThat(open(trusting).manifest(MODEL, manifest.id())).isEqualTo(manifest);
  }

  @Test
  void shouldRefuseWhatAnotherKeySigned() throws Exception {
    Manifest manifest =
        publish(
            open(new ManifestKeys(Optional.of(pair().getPrivate()), List.of())), tensor("a", 1));
    SnapshotStore store = open(new ManifestKeys(Optional.empty(), List.of(pair().getPublic())));
    assertThatThrownBy(() -> store.manifest(MODEL, manifest.id()))
        .isInstanceOf(StoreException.Damaged.class)
        .hasMessageContaining("signed by none of the configured keys");
  }

  @Test
  void shouldRefuseWhatIsNotSignedWhereKeysAreTrusted() throws Exception {
    Manifest manifest = publish(open(ManifestKeys.NONE), tensor("a", 1));
    SnapshotStore store = open(new ManifestKeys(Optional.empty(), List.of(pair().getPublic())));
    assertThatThrownBy(() -> store.manifest(MODEL, manifest.id()))
        .isInstanceOf(StoreException.Damaged.class)
        .hasMessageContaining("is not signed");
    assertThatThrownBy(() -> store.activate(MODEL, manifest.id(), Snapshots.BECAUSE))
        .isInstanceOf(StoreException.Damaged.class);
  }
}
