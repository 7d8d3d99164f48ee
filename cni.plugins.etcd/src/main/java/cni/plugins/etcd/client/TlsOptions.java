// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import java.nio.file.Path;
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
}
