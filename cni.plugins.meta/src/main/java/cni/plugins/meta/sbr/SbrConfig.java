// SPDX-License-Identifier: Apache-2.0
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
 * The configuration of the sbr plugin; keys as for the reference plugin.
 *
 * @param table the routing table that rules refer to, whose routes are left as they are; absent for
 *     a new table for each address, to which the interface's routes are moved
 * @param gateways the gateways to use instead of those of the previous result, at most one of each
 *     family
 * @param addSourceHints whether the route to each network stays in the main table, with the address
 *     as its preferred source
 */
record SbrConfig(OptionalInt table, List<InetAddress> gateways, boolean addSourceHints) {
  /**
   * Reads a configuration.
   *
   * @throws CniException code 7 if a value is invalid
   */
  static SbrConfig parse(PluginConfig config) throws CniException {
    ConfigObject view = config.view();
    List<InetAddress> gateways = view.parsedList("gateways", InetAddresses::parse);
    if (gateways.stream().map(InetAddresses::isV4).distinct().count() < gateways.size()) {
      throw view.invalid("gateways", "has two of one address family; give at most one of each");
    }
    return new SbrConfig(table(view), gateways, view.bool("addSourceHints"));
  }

  /**
   * Reads {@code table} alone.
   *
   * @return the unsigned 32-bit number; absent if the key is missing
   * @throws CniException code 7 if it is outside 1 to 2^32 - 1
   */
  static OptionalInt table(ConfigObject view) throws CniException {
    OptionalLong table = view.longInteger("table", 1, 0xffff_ffffL);
    return table.isPresent() ? OptionalInt.of((int) table.getAsLong()) : OptionalInt.empty();
  }

  /** Returns the configured gateway of a family, if there is one. */
  Optional<InetAddress> gateway(boolean v4) {
    return gateways.stream().filter(it -> InetAddresses.isV4(it) == v4).findFirst();
  }
}
