package cni.api;

import java.util.List;

/**
 * What a resolver needs to know (the {@code dns} key of configurations and results).
 *
 * @param nameservers addresses, most important first
 * @param domain the local domain, or the empty string
 * @param search domains to search, most important first
 * @param options resolver options, see resolv.conf(5)
 */
public record Dns(
    List<String> nameservers, String domain, List<String> search, List<String> options) {
  /** Nothing known. */
  public static final Dns NONE = new Dns(List.of(), "", List.of(), List.of());

  /** Takes copies of the lists. */
  public Dns {
    nameservers = List.copyOf(nameservers);
    search = List.copyOf(search);
    options = List.copyOf(options);
  }

  /** Whether there is nothing in it. */
  public boolean isEmpty() {
    // Its equals is spun when first used, which takes a process some milliseconds.
    return nameservers.isEmpty() && domain.isEmpty() && search.isEmpty() && options.isEmpty();
  }

  /**
   * Reads the {@code dns} object.
   *
   * @throws CniException code 7 if a value has the wrong type
   */
  public static Dns parse(ConfigObject dns) throws CniException {
    return new Dns(
        dns.texts("nameservers"),
        dns.text("domain").orElse(""),
        dns.texts("search"),
        dns.texts("options"));
  }
}
