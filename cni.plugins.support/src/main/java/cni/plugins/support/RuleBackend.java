package cni.plugins.support;

import cni.api.CniException;
import cni.api.ConfigObject;
import java.util.Optional;

/** Where the rules of a plugin are, of the two places that the reference plugins know. */
public enum RuleBackend {
  /** In a table of the plugin's own. */
  NFTABLES,
  /** In the tables that iptables keeps. */
  IPTABLES;

  /**
   * Reads the key of a configuration that names one.
   *
   * @throws CniException code 7 if it names something else
   */
  public static Optional<RuleBackend> parse(ConfigObject config, String key) throws CniException {
    Optional<String> name = config.text(key);
    if (name.isEmpty()) {
      return Optional.empty();
    }
    return switch (name.get()) {
      case "nftables" -> Optional.of(NFTABLES);
      case "iptables" -> Optional.of(IPTABLES);
      default -> throw config.invalid(key, "must be \"nftables\" or \"iptables\"");
    };
  }
}
