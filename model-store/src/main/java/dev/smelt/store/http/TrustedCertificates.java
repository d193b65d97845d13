package dev.smelt.store.http;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Certificates in a PEM file as the only ones to trust. */
public final class TrustedCertificates {

  private TrustedCertificates() {}

  /**
   * A context for clients that trusts these certificates, and not the system's.
   *
   * @param file in PEM form, for example the certificate of a server that signed its own
   * @throws StoreClientException if the file cannot be read or holds none
   */
  public static SSLContext context(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
      trusted.load(null, null);
      for (Certificate certificate :
          CertificateFactory.getInstance("X.509").generateCertificates(in)) {
        trusted.setCertificateEntry("certificate-" + trusted.size(), certificate);
      }
      if (trusted.size() == 0) {
        throw new StoreClientException(0, file + ": holds no certificate");
      }
      TrustManagerFactory managers =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      managers.init(trusted);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, managers.getTrustManagers(), null);
      return context;
    } catch (IOException | GeneralSecurityException e) {
      throw new StoreClientException(file + ": cannot be read as PEM certificates", e);
    }
  }
}
