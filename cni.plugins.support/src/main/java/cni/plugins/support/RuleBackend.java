package cni.plugins.support;

import cni.api.CniException;
import cni.api.ConfigObject;
import java.util.Optional;

/** Where a plugin keeps its rules; the two backends of the reference plugins. */
public enum RuleBackend {
  /** The plugin's own table. */
  NFTABLES,
  /** The tables of iptables. */
  IPTABLES;

  /**
   * Reads the key that names a backend.
   *
   * @return empty if the configuration does not have the key
   * @throws CniException code 7 if the value is neither {@code nftables} nor {@code iptables}
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
