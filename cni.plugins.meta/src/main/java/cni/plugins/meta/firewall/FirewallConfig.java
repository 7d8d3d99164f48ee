package cni.plugins.meta.firewall;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.PluginConfig;
import cni.netlink.ffm.nftables.IptablesRuleBuilder;

/**
 * The configuration of firewall; keys as for the reference plugin.
 *
 * @param backend who is told to let the container's packets pass
 * @param adminChain a chain for the administrator's rules, which come before those of containers
 *     ({@code iptablesAdminChainName})
 * @param zone of firewalld ({@code firewalldZone})
 * @param ingress whose connections reach the container ({@code ingressPolicy})
 */
record FirewallConfig(Backend backend, String adminChain, String zone, IngressPolicy ingress) {
  private static final String DEFAULT_ADMIN_CHAIN = "CNI-ADMIN";
  private static final String DEFAULT_ZONE = "trusted";

  /** What counts if nothing is said. */
  static final FirewallConfig DEFAULTS =
      new FirewallConfig(Backend.AUTO, DEFAULT_ADMIN_CHAIN, DEFAULT_ZONE, IngressPolicy.OPEN);

  /** Who decides what passes through the host. */
  enum Backend {
    /** firewalld if it runs here, otherwise the chains of both iptables and nftables. */
    AUTO,
    /** The {@code FORWARD} chains that iptables keeps. */
    IPTABLES,
    /** Other chains of nf_tables that drop what they do not know. */
    NFTABLES,
    /** firewalld. */
    FIREWALLD
  }

  /** Whose connections reach the container. */
  enum IngressPolicy {
    /** Everybody's, as far as the host lets them pass. */
    OPEN("open"),
    /** Not those of containers at other bridges that have this policy or the next. */
    SAME_BRIDGE("same-bridge"),
    /** Not those of containers at the same bridge either. */
    ISOLATED("isolated");

    private final String configValue;

    IngressPolicy(String word) {
      this.configValue = word;
    }

    /** As configurations have it. */
    String configValue() {
      return configValue;
    }
  }

  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if a value makes no sense
   */
  static FirewallConfig parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    return new FirewallConfig(
        backend(view),
        adminChain(view),
        view.text("firewalldZone").filter(it -> !it.isEmpty()).orElse(DEFAULT_ZONE),
        ingressPolicy(view));
  }

  private static Backend backend(ConfigObject view) throws CniException {
    return switch (view.text("backend").orElse("")) {
      case "" -> Backend.AUTO;
      case "iptables" -> Backend.IPTABLES;
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
              + " characters, no blank among them, no dash first");
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
