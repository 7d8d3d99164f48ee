// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * How to reach a cluster.
 *
 * @param endpoints the client URLs of members, at least one, {@code http} or {@code https}
 * @param tls the files for {@code https}
 * @param credentials absent if etcd does not authenticate users; its gateway never does so by their
 *     certificates
 * @param timeout how long a request may take, over all endpoints that are tried
 */
public record EtcdOptions(
    List<URI> endpoints, TlsOptions tls, Optional<Credentials> credentials, Duration timeout) {
  /** The shortest time that one endpoint gets. An election takes about a second. */
  private static final Duration MIN_ATTEMPT = Duration.ofMillis(1500);

  /** Copies the list. */
  public EtcdOptions {
    endpoints = List.copyOf(endpoints);
  }

  /** A user of etcd. */
  public record Credentials(String user, String password) {
    /** Returns the user only. */
    @Override
    public String toString() {
      return user;
    }
  }

  /** Returns whether an endpoint has the scheme {@code https}, so that {@link #tls} is used. */
  public boolean usesTls() {
    return endpoints.stream().anyMatch(it -> "https".equals(it.getScheme()));
  }

  /** Returns how long a request to one endpoint may take before the next one is tried. */
  Duration attemptTimeout() {
    Duration share = timeout.dividedBy(endpoints.size() + 1);
    return share.compareTo(MIN_ATTEMPT) < 0 ? MIN_ATTEMPT : share;
  }

  /** Returns the endpoints for a message. */
  public String describeEndpoints() {
    return endpoints.stream().map(URI::toString).collect(Collectors.joining(", "));
  }
}
