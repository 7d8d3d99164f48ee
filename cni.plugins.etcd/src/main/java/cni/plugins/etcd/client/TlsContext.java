// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/** Creates the TLS context of {@link TlsOptions}. */
final class TlsContext {
  private static final char[] NO_PASSWORD = {};

  private TlsContext() {}

  /**
   * Creates the context.
   *
   * @throws CniException code 7 if a file cannot be read or is invalid
   */
  static SSLContext create(TlsOptions options) throws CniException {
    try {
      return load(options);
    } catch (TlsFileException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "ipam.tls.%s %s %s".formatted(e.key(), e.file(), e.getMessage()),
          e);
    }
  }

  /**
   * Creates the context.
   *
   * @throws TlsFileException if a file cannot be read or is invalid
   * @throws CniException code 7 if the files cannot be used for another reason
   */
  static SSLContext load(TlsOptions options) throws TlsFileException, CniException {
    try {
      TrustManager[] trust = trustManagers(options);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keyManagers(options), trust, null);
      return context;
    } catch (GeneralSecurityException | IOException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, "ipam.tls cannot be used: " + e.getMessage(), e);
    }
  }

  private static KeyManager[] keyManagers(TlsOptions options)
      throws TlsFileException, GeneralSecurityException, IOException {
    if (options.cert().isEmpty() || options.key().isEmpty()) {
      return new KeyManager[0];
    }
    Path certFile = options.cert().get();
    Path keyFile = options.key().get();
    List<X509Certificate> chain = PemFiles.certificates("cert", certFile);
    KeyStore store = emptyStore();
    store.setKeyEntry(
        "client",
        PemFiles.privateKey("key", keyFile, chain.getFirst().getPublicKey()),
        NO_PASSWORD,
        chain.toArray(new X509Certificate[0]));
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, NO_PASSWORD);
    return factory.getKeyManagers();
  }

  private static TrustManager[] trustManagers(TlsOptions options)
      throws TlsFileException, GeneralSecurityException, IOException {
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(options.ca().isPresent() ? authorities(options.ca().get()) : null);
    TrustManager[] managers = factory.getTrustManagers();
    Optional<String> name = options.serverName();
    if (name.isPresent()) {
      for (int i = 0; i < managers.length; i++) {
        if (managers[i] instanceof X509ExtendedTrustManager manager) {
          managers[i] = new ServerNameTrustManager(manager, name.get());
        }
      }
    }
    return managers;
  }

  private static KeyStore authorities(Path file)
      throws TlsFileException, GeneralSecurityException, IOException {
    KeyStore store = emptyStore();
    List<X509Certificate> certificates = PemFiles.certificates("ca", file);
    for (int i = 0; i < certificates.size(); i++) {
      store.setCertificateEntry("ca" + i, certificates.get(i));
    }
    return store;
  }

  private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, NO_PASSWORD);
    return store;
  }
}
