// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.firewall;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;

/**
 * The configuration of the firewall plugin; keys as for the reference plugin.
 *
 * @param backend which firewall accepts the container's packets
 * @param adminChain the chain for the administrator's rules, evaluated before those of containers
 *     ({@code iptablesAdminChainName})
 * @param zone the zone of firewalld ({@code firewalldZone})
 * @param ingress which containers may connect to the container ({@code ingressPolicy})
 */
record FirewallConfig(Backend backend, String adminChain, String zone, IngressPolicy ingress) {
  private static final String DEFAULT_ADMIN_CHAIN = "CNI-ADMIN";
  private static final String DEFAULT_ZONE = "trusted";

  /** The configuration without any of the keys. */
  static final FirewallConfig DEFAULTS =
      new FirewallConfig(Backend.AUTO, DEFAULT_ADMIN_CHAIN, DEFAULT_ZONE, IngressPolicy.OPEN);

  /** The firewall that decides which packets the host forwards. */
  enum Backend {
    /** firewalld if it is running, otherwise the chains of both iptables and nf_tables. */
    AUTO,
    /** The {@code FORWARD} chains of iptables. */
    IPTABLES,
    /** All other chains of nf_tables that forward and drop by default. */
    NFTABLES,
    /** A zone of firewalld. */
    FIREWALLD
  }

  /** Which containers may connect to the container. */
  enum IngressPolicy {
    /** All, as far as the host forwards their packets. */
    OPEN("open"),
    /** All but containers of other bridges with this policy or {@code isolated}. */
    SAME_BRIDGE("same-bridge"),
    /** As {@code same-bridge}, and not containers of the same bridge either. */
    ISOLATED("isolated");

    private final String configValue;

    IngressPolicy(String word) {
      this.configValue = word;
    }

    /** Returns the value of {@code ingressPolicy}. */
    String configValue() {
      return configValue;
    }
  }

  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if a value is invalid
   */
  static FirewallConfig parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    return new FirewallConfig(
        backend(view),
        adminChain(view),
        view.text("firewalldZone").filter(it -> !it.isEmpty()).orElse(DEFAULT_ZONE),
        ingressPolicy(view));
  }

  /**
   * Validates a configuration: reads it, and warns of keys that another backend reads.
   *
   * @throws CniException code 7 if a value is invalid
   */
  static void validate(PluginConfig config) throws CniException {
    Backend backend = parse(config).backend();
    ConfigObject view = config.view();
    if (backend == Backend.NFTABLES) {
      warnOfUnused(view, "iptablesAdminChainName", "iptables");
    }
    if (backend == Backend.NFTABLES || backend == Backend.IPTABLES) {
      warnOfUnused(view, "firewalldZone", "firewalld");
    }
  }

  private static void warnOfUnused(ConfigObject view, String key, String reader)
      throws CniException {
    if (view.nonEmpty(key).isPresent()) {
      view.warn(key, "has no effect: it is for backend \"%s\"; leave it out".formatted(reader));
    }
  }

  private static Backend backend(ConfigObject view) throws CniException {
    return switch (view.text("backend").orElse("")) {
      case "" -> Backend.AUTO;
      // Nomad adds the plugin a second time with ip6tables; the reference plugin accepts any word.
      case "iptables", "ip6tables" -> Backend.IPTABLES;
      case "nftables" -> Backend.NFTABLES;
      case "firewalld" -> Backend.FIREWALLD;
      default ->
          throw view.invalid(
              "backend", "must be \"iptables\", \"nftables\" or \"firewalld\", or be left out");
    };
  }

  private static String adminChain(ConfigObject view) throws CniException {
    String name =
        view.text("iptablesAdminChainName").filter(it -> !it.isEmpty()).orElse(DEFAULT_ADMIN_CHAIN);
    if (name.length() > IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH
        || !name.matches("[^\\s\"]+")
        || name.startsWith("-")) {
      throw view.invalid(
          "iptablesAdminChainName",
          "must have 1 to "
              + IptablesRuleBuilder.MAX_CHAIN_NAME_LENGTH
              + " characters, without white space and quotation marks, and not start with a dash");
    }
    return name;
  }

  private static IngressPolicy ingressPolicy(ConfigObject view) throws CniException {
    String word = view.text("ingressPolicy").orElse("");
    for (IngressPolicy policy : IngressPolicy.values()) {
      if (policy.configValue().equals(word)) {
        return policy;
      }
    }
    if (!word.isEmpty()) {
      throw view.invalid("ingressPolicy", "must be \"open\", \"same-bridge\" or \"isolated\"");
    }
    return IngressPolicy.OPEN;
  }
}
