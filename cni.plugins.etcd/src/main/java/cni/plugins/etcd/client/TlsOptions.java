// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Optional;

/**
 * The files for TLS, all in PEM (RFC 7468).
 *
 * @param ca the certificates of authorities that sign the members' certificates; absent for those
 *     that Java trusts
 * @param cert the client's certificate, followed by those of intermediate authorities; absent if
 *     etcd does not ask for one
 * @param key the private key of {@code cert}: PKCS#8, PKCS#1 or SEC 1, not encrypted
 * @param serverName the name or IP address that members' certificates must be for; absent for the
 *     host of the endpoint
 */
public record TlsOptions(
    Optional<Path> ca, Optional<Path> cert, Optional<Path> key, Optional<String> serverName) {
  /** No files: the authorities that Java trusts, and no client certificate. */
  public static final TlsOptions DEFAULT =
      new TlsOptions(Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());

  /**
   * Reads the files, to find out whether they can be used.
   *
   * @throws TlsFileException if one cannot be read or is invalid
   * @throws CniException code 7 if they cannot be used for another reason
   */
  public void requireUsable() throws TlsFileException, CniException {
    TlsContext.load(this);
  }

  /**
   * Returns what is wrong with the validity of the client's certificates at a time. The authorities
   * of members are left out: a bundle may contain expired ones.
   *
   * @return continues the sentence that begins with the name of the file; absent if all are valid
   * @throws TlsFileException if the file cannot be read or is invalid
   */
  public Optional<String> validityProblem(Instant time) throws TlsFileException {
    if (cert.isEmpty()) {
      return Optional.empty();
    }
    for (X509Certificate it : PemFiles.certificates("cert", cert.get())) {
      Instant start = it.getNotBefore().toInstant();
      Instant end = it.getNotAfter().toInstant();
      if (time.isBefore(start)) {
        return Optional.of("contains a certificate that is not valid before " + start);
      }
      if (time.isAfter(end)) {
        return Optional.of("contains a certificate that expired at " + end);
      }
    }
    return Optional.empty();
  }
}
