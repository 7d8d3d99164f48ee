// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.SpecVersion;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Conversion between results and the Go structs of the CNI library. */
final class GobResult {
  private static final int V4_BYTES = 4;
  private static final int V6_BYTES = 16;

  private GobResult() {}

  static Map<String, Object> write(Result result) {
    Map<String, Object> struct = new LinkedHashMap<>();
    struct.put("CNIVersion", SpecVersion.CURRENT.toString());
    struct.put("IPs", result.ips().stream().map(GobResult::write).toList());
    struct.put("Routes", result.routes().stream().map(GobResult::write).toList());
    struct.put(
        "DNS",
        Map.of(
            "Nameservers", result.dns().nameservers(),
            "Domain", result.dns().domain(),
            "Search", result.dns().search(),
            "Options", result.dns().options()));
    return struct;
  }

  private static Map<String, Object> write(Result.IpConfig ip) {
    Map<String, Object> struct = new LinkedHashMap<>();
    struct.put("Address", network(ip.address()));
    ip.gateway().ifPresent(gateway -> struct.put("Gateway", gateway.getAddress()));
    return struct;
  }

  private static Map<String, Object> write(Result.Route route) {
    Map<String, Object> struct = new LinkedHashMap<>();
    struct.put("Dst", network(route.destination()));
    route.gateway().ifPresent(gateway -> struct.put("GW", gateway.getAddress()));
    if (route.priority() != 0) {
      struct.put("Priority", route.priority());
    }
    route.scope().ifPresent(scope -> struct.put("Scope", (long) scope));
    return struct;
  }

  private static Map<String, Object> network(Cidr cidr) {
    byte[] mask = new byte[InetAddresses.bits(cidr.address()) / 8];
    for (int i = 0; i < cidr.prefix(); i++) {
      mask[i / 8] |= (byte) (0x80 >> (i % 8));
    }
    return Map.of("IP", cidr.address().getAddress(), "Mask", mask);
  }

  /**
   * Converts a daemon's reply.
   *
   * @throws IOException if an address or a route is invalid
   */
  static Result read(Map<String, Object> struct) throws IOException {
    List<Result.IpConfig> ips = new ArrayList<>();
    for (Map<?, ?> ip : structs(struct.get("IPs"))) {
      ips.add(
          new Result.IpConfig(
              cidr(ip.get("Address")), address(ip.get("Gateway")), OptionalInt.empty()));
    }
    List<Result.Route> routes = new ArrayList<>();
    for (Map<?, ?> route : structs(struct.get("Routes"))) {
      routes.add(
          new Result.Route(
              cidr(route.get("Dst")),
              address(route.get("GW")),
              0,
              0,
              route.get("Priority") instanceof Long priority ? priority : 0,
              OptionalLong.empty(),
              route.get("Scope") instanceof Long scope
                  ? OptionalInt.of(scope.intValue())
                  : OptionalInt.empty()));
    }
    return new Result(List.of(), ips, routes, dns(struct.get("DNS")));
  }

  private static List<Map<?, ?>> structs(@Nullable Object list) throws IOException {
    List<Map<?, ?>> structs = new ArrayList<>();
    for (Object it : list instanceof List<?> elements ? elements : List.of()) {
      if (!(it instanceof Map<?, ?> struct)) {
        throw new IOException("the daemon's reply has " + it + " in place of a struct");
      }
      structs.add(struct);
    }
    return structs;
  }

  private static Dns dns(@Nullable Object struct) {
    if (!(struct instanceof Map<?, ?> map)) {
      return Dns.NONE;
    }
    return new Dns(
        strings(map.get("Nameservers")),
        map.get("Domain") instanceof String domain ? domain : "",
        strings(map.get("Search")),
        strings(map.get("Options")));
  }

  private static List<String> strings(@Nullable Object list) {
    return list instanceof List<?> texts ? texts.stream().map(String::valueOf).toList() : List.of();
  }

  private static Cidr cidr(@Nullable Object struct) throws IOException {
    if (struct instanceof Map<?, ?> map && map.get("Mask") instanceof byte[] mask) {
      Optional<InetAddress> address = address(map.get("IP"));
      int prefix = 0;
      for (byte b : mask) {
        prefix += Integer.bitCount(Byte.toUnsignedInt(b));
      }
      if (address.isPresent()) {
        boolean mapped = mask.length == V6_BYTES && InetAddresses.isV4(address.get());
        int bits = mapped ? prefix - 8 * (V6_BYTES - V4_BYTES) : prefix;
        if (bits >= 0 && bits <= InetAddresses.bits(address.get())) {
          return new Cidr(address.get(), bits);
        }
      }
    }
    throw new IOException("the daemon's reply has a network without valid address and mask");
  }

  /** Converts a net.IP, which has 4 or 16 bytes for an IPv4 address. */
  private static Optional<InetAddress> address(@Nullable Object bytes) {
    if (!(bytes instanceof byte[] it) || (it.length != V4_BYTES && it.length != V6_BYTES)) {
      return Optional.empty();
    }
    byte[] head = Arrays.copyOf(it, V6_BYTES - V4_BYTES);
    byte[] mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1};
    return it.length == V6_BYTES && Arrays.equals(head, mapped)
        ? Optional.of(InetAddresses.of(Arrays.copyOfRange(it, head.length, V6_BYTES)))
        : Optional.of(InetAddresses.of(it));
  }
}
