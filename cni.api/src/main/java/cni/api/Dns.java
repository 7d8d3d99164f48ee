// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import cni.api.internal.NullChecks;
import java.util.List;

/**
 * Resolver settings: the {@code dns} key of configurations and results.
 *
 * @param nameservers addresses of name servers, in order of preference
 * @param domain the local domain, or the empty string
 * @param search search domains, in order of preference
 * @param options resolver options; see resolv.conf(5)
 */
public record Dns(
    List<String> nameservers, String domain, List<String> search, List<String> options) {
  /** No settings. */
  public static final Dns NONE = new Dns(List.of(), "", List.of(), List.of());

  /** Copies the lists. */
  public Dns {
    requireNonNull(domain, "domain");
    nameservers = NullChecks.copyOf(nameservers, "nameservers");
    search = NullChecks.copyOf(search, "search");
    options = NullChecks.copyOf(options, "options");
  }

  /** Returns whether there are no settings. */
  public boolean isEmpty() {
    // Not equals(NONE): linking a record's generated equals takes a process some milliseconds.
    return nameservers.isEmpty() && domain.isEmpty() && search.isEmpty() && options.isEmpty();
  }

  /**
   * Parses a {@code dns} object.
   *
   * @throws CniException code 7 if a value has the wrong type
   */
  public static Dns parse(ConfigObject dns) throws CniException {
    requireNonNull(dns, "dns");
    return new Dns(
        dns.texts("nameservers"),
        dns.text("domain").orElse(""),
        dns.texts("search"),
        dns.texts("options"));
  }
}
