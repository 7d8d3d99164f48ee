package cni.plugins.meta.sbr;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * The configuration of sbr; keys as for the reference plugin.
 *
 * @param table whose routes are used as they are; absent for a table of each address's own, to
 *     which the interface's routes are moved
 * @param gateways in place of those of the previous result, at most one of each family
 * @param addSourceHints whether the way to each network stays in the main table, with the address
 *     as the source that is taken ({@code addSourceHints})
 */
record SbrConfig(OptionalInt table, List<InetAddress> gateways, boolean addSourceHints) {
  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if a value makes no sense
   */
  static SbrConfig parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    List<InetAddress> gateways = view.parsedList("gateways", InetAddresses::parse);
    if (gateways.stream().map(InetAddresses::isV4).distinct().count() < gateways.size()) {
      throw view.invalid("gateways", "has two of one family; give at most one of each");
    }
    return new SbrConfig(table(view), gateways, view.bool("addSourceHints"));
  }

  /**
   * The table alone, as the number of 32 bits that it is.
   *
   * @throws CniException code 7 if it makes no sense
   */
  static OptionalInt table(ConfigObject view) throws CniException {
    OptionalLong table = view.longInteger("table", 1, 0xffff_ffffL);
    return table.isPresent() ? OptionalInt.of((int) table.getAsLong()) : OptionalInt.empty();
  }

  /** The gateway for addresses of that family, if one is configured. */
  Optional<InetAddress> gateway(boolean v4) {
    return gateways.stream().filter(it -> InetAddresses.isV4(it) == v4).findFirst();
  }
}
