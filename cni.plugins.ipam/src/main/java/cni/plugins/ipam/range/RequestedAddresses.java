// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.range;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.PluginConfig;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The addresses that a caller requests of the ranges. */
public final class RequestedAddresses {
  private RequestedAddresses() {}

  /**
   * Returns the requested addresses: of {@code IP} in CNI_ARGS, {@code args.cni.ips} and the
   * capability {@code ips}. A prefix length is ignored; the one of the address's range is used.
   *
   * @throws CniException code 4 if CNI_ARGS has an invalid address, code 7 if the configuration has
   *     one
   */
  public static List<InetAddress> of(PluginConfig config, Map<String, String> genericArgs)
      throws CniException {
    List<InetAddress> requested = new ArrayList<>();
    String argument = genericArgs.getOrDefault("IP", "");
    if (!argument.isEmpty()) {
      try {
        requested.add(parse(argument));
      } catch (IllegalArgumentException e) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "CNI_ARGS: IP=" + Json.quote(argument) + " " + e.getMessage(),
            e);
      }
    }
    for (Optional<ConfigObject> section : List.of(config.args(), config.runtimeConfig())) {
      if (section.isPresent()) {
        requested.addAll(section.get().parsedList("ips", RequestedAddresses::parse));
      }
    }
    return requested.stream().distinct().toList();
  }

  private static InetAddress parse(String text) {
    return text.indexOf('/') < 0 ? InetAddresses.parse(text) : Cidr.parse(text).address();
  }

  /**
   * Requires that each requested address is assigned.
   *
   * @param unassigned the requested addresses that are not
   * @throws CniException code 7 if there are any
   */
  public static void requireNoneLeft(Collection<InetAddress> unassigned) throws CniException {
    if (!unassigned.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "more addresses are requested than there are range sets; left over: "
              + RangeSet.abbreviate(unassigned.stream().map(InetAddresses::format).toList(), ", "));
    }
  }

  /**
   * Requires that a requested address is not the gateway of its range.
   *
   * @throws CniException code 7 if it is
   */
  public static void requireNotGateway(InetAddress address, RangeSet set) throws CniException {
    if (address.equals(set.rangeOf(address).orElseThrow().gateway())) {
      throw refused(address, "is the subnet's gateway");
    }
  }

  /**
   * Returns the error (code 7) for an address that is never assigned.
   *
   * @param why continues the sentence that begins with the address
   */
  public static CniException refused(InetAddress address, String why) {
    return new CniException(
        ErrorCode.INVALID_CONFIG,
        "the requested address " + InetAddresses.format(address) + " " + why);
  }
}
