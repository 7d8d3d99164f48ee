// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.InetAddresses;
import java.net.InetAddress;
import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Requires that the server's certificate is for a given name, instead of the host of the URL: for
 * members that are reached by addresses which their certificates do not list.
 */
final class ServerNameTrustManager extends X509ExtendedTrustManager {
  // Types of subjectAltName (RFC 5280, section 4.2.1.6).
  private static final int DNS_NAME = 2;
  private static final int IP_ADDRESS = 7;

  private final X509ExtendedTrustManager authorities;
  private final String serverName;
  private final String wanted;

  /** Absent if the name is not an address. */
  private final Optional<InetAddress> wantedAddress;

  /**
   * Creates a trust manager.
   *
   * @param authorities verifies the signatures of certificates
   * @param serverName a DNS name or an IP address
   */
  ServerNameTrustManager(X509ExtendedTrustManager authorities, String serverName) {
    this.authorities = authorities;
    this.serverName = serverName;
    wanted = serverName.toLowerCase(Locale.ROOT);
    wantedAddress = parseAddress(serverName);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType)
      throws CertificateException {
    authorities.checkServerTrusted(chain, authType);
    requireName(chain[0]);
  }

  // The two-argument method of the authorities does not compare the name with the URL's host.

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
      throws CertificateException {
    checkServerTrusted(chain, authType);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    checkServerTrusted(chain, authType);
  }

  private void requireName(X509Certificate certificate) throws CertificateException {
    Collection<List<?>> names = certificate.getSubjectAlternativeNames();
    if (names == null) {
      names = List.of();
    }
    if (names.stream().noneMatch(this::matches)) {
      String listed =
          names.stream().map(it -> String.valueOf(it.get(1))).collect(Collectors.joining(", "));
      throw new CertificateException(
          "the certificate is not for ipam.tls.serverName %s, but for %s"
              .formatted(serverName, listed.isEmpty() ? "no name (subjectAltName)" : listed));
    }
  }

  private boolean matches(List<?> name) {
    String value = String.valueOf(name.get(1)).toLowerCase(Locale.ROOT);
    return switch ((Integer) name.getFirst()) {
      case IP_ADDRESS -> wantedAddress.isPresent() && wantedAddress.equals(parseAddress(value));
      case DNS_NAME ->
          wantedAddress.isEmpty() && (value.equals(wanted) || matchesWildcard(value, wanted));
      default -> false;
    };
  }

  /** An address has several texts: that of a certificate is {@code 0:0:0:0:0:0:0:1}. */
  private static Optional<InetAddress> parseAddress(String text) {
    try {
      return Optional.of(InetAddresses.parse(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** Whether a pattern such as {@code *.example.org} stands for the name (RFC 6125, 6.4.3). */
  private static boolean matchesWildcard(String pattern, String name) {
    int dot = name.indexOf('.');
    return pattern.startsWith("*.") && dot > 0 && name.substring(dot).equals(pattern.substring(1));
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType)
      throws CertificateException {
    authorities.checkClientTrusted(chain, authType);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket)
      throws CertificateException {
    authorities.checkClientTrusted(chain, authType, socket);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
      throws CertificateException {
    authorities.checkClientTrusted(chain, authType, engine);
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return authorities.getAcceptedIssuers();
  }
}
