// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.TestCertificates.KeyForm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SignatureException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@RequiresEtcd
class TestCertificatesTest {
  @TempDir private Path directory;
  private TestCertificates certificates;

  @BeforeEach
  void createAuthority() throws Exception {
    certificates = new TestCertificates(directory.resolve("one"));
  }

  private static X509Certificate read(Path file) throws Exception {
    try (var in = Files.newInputStream(file)) {
      return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "EC_PKCS8, -----BEGIN PRIVATE KEY-----, EC",
    "EC_SEC1, -----BEGIN EC PRIVATE KEY-----, EC",
    "EC_SEC1_WITH_PARAMETERS, -----BEGIN EC PARAMETERS-----, EC",
    "RSA_PKCS8, -----BEGIN PRIVATE KEY-----, RSA",
    "RSA_PKCS1, -----BEGIN RSA PRIVATE KEY-----, RSA"
  })
  void keysHaveTheirForm(KeyForm form, String firstLine, String algorithm) throws Exception {
    var client = certificates.client("user", form);
    assertEquals(firstLine, Files.readAllLines(client.key()).getFirst());
    X509Certificate certificate = read(client.certificate());
    assertEquals(algorithm, certificate.getPublicKey().getAlgorithm());
    assertEquals("CN=user", certificate.getSubjectX500Principal().getName());
    assertDoesNotThrow(() -> certificate.checkValidity());
    certificate.verify(read(certificates.authority()).getPublicKey());
  }

  @Test
  void serversHaveTheirNames() throws Exception {
    X509Certificate certificate =
        read(certificates.server("etcd.test", "127.0.0.1", "::1").certificate());
    Collection<List<?>> names = certificate.getSubjectAlternativeNames();
    assertEquals("[[2, etcd.test], [7, 127.0.0.1], [7, 0:0:0:0:0:0:0:1]]", names.toString());
    assertEquals(2, certificate.getExtendedKeyUsage().size());
  }

  @Test
  void expiredCertificatesHaveExpired() throws Exception {
    for (var identity : List.of(certificates.expiredServer("a"), certificates.expiredClient("b"))) {
      X509Certificate certificate = read(identity.certificate());
      assertThrows(CertificateExpiredException.class, certificate::checkValidity);
    }
  }

  @Test
  void authoritiesDoNotTrustEachOther() throws Exception {
    var other = new TestCertificates(directory.resolve("other"));
    X509Certificate certificate = read(other.server("a").certificate());
    var key = read(certificates.authority()).getPublicKey();
    assertThrows(SignatureException.class, () -> certificate.verify(key));
    assertTrue(read(certificates.authority()).getBasicConstraints() >= 0);
  }
}
