// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The state of namespaces and directories as other programs see it: {@code ip}, {@code bridge},
 * {@code tc}, {@code nft} and the files below {@code /proc/sys/net}. Unlike {@link NetNsSnapshot}
 * it contains every property, so that the state after an operation was undone can be required to
 * equal the one before. Counters, handles and indices that the kernel assigns, timers and what is
 * learned from traffic are left out.
 *
 * @param lines one for each object, sorted but for rules of nf_tables and filters of tc, which keep
 *     their order
 */
public record HostSnapshot(List<String> lines) {
  private static final String LINKS = "ip -j -d addr show";

  private static final List<String> LISTS =
      List.of(
          "ip -4 -j -d route show table all",
          "ip -6 -j -d route show table all",
          "ip -4 -j -d rule show",
          "ip -6 -j -d rule show",
          "ip -j neigh show nud permanent",
          "bridge -j vlan show",
          "bridge -j fdb show");

  /**
   * Indices, what the kernel determines with a delay after a change, such as the state of a carrier
   * or of duplicate address detection, timers, and references to other namespaces.
   */
  private static final Set<String> VOLATILE_KEYS =
      Set.of(
          "ifindex",
          "link_index",
          "link_netnsid",
          "operstate",
          "qdisc",
          "state",
          "tentative",
          "valid_life_time",
          "preferred_life_time",
          "expires",
          "hello_timer",
          "tcn_timer",
          "topology_change_timer",
          "gc_timer",
          "message_age_timer",
          "forward_delay_timer",
          "hold_timer",
          "linkdown");

  private static final Set<String> CARRIER_FLAGS =
      Set.of("LOWER_UP", "NO-CARRIER", "M-DOWN", "linkdown", "dead");

  private static final Pattern AUTOMATIC =
      Pattern.compile("fe80::/64|fe80::.*ff:fe[0-9a-f]{2}:[0-9a-f]+");

  private static final Pattern MULTICAST_MAC = Pattern.compile("33:33:|01:00:5e:");

  /** Handles from 8000: on are assigned by the kernel. */
  private static final Pattern ASSIGNED_HANDLE = Pattern.compile("\\b[89a-f][0-9a-f]{3}:(?!f)");

  private static final Pattern TC_COUNTER =
      Pattern.compile(" (refcnt|direct_packets_stat|ref|bind|index) [0-9]+");

  private static final Pattern VOLATILE_SYSCTL =
      Pattern.compile("/(nf_conntrack_count|stable_secret|random|uuid|flush):?");

  private static final Pattern VETH = Pattern.compile("\\bveth[0-9a-f]{8}\\b");
  private static final Pattern MAC = Pattern.compile("\\b([0-9a-f]{2}:){5}[0-9a-f]{2}\\b");

  /** The identifier of a bridge: a hardware address without leading zeros. */
  private static final Pattern BRIDGE_ID = Pattern.compile("\\b8000\\.[0-9a-f:]+");

  /**
   * Takes a snapshot of namespaces.
   *
   * @throws IOException if a command cannot be started
   * @throws CniException if a command prints no JSON
   */
  public static HostSnapshot of(NetNs... namespaces) throws IOException, CniException {
    List<String> lines = new ArrayList<>();
    for (NetNs namespace : namespaces) {
      linesOf(namespace).forEach(line -> lines.add(roleOf(namespace) + ": " + line));
    }
    return new HostSnapshot(lines);
  }

  /**
   * Takes a snapshot of the links, addresses and routes of namespaces alone, without starting a
   * program: on an emulated kernel a whole snapshot takes a minute.
   *
   * @throws IOException if the kernel cannot be queried
   */
  public static HostSnapshot ofRoutes(NetNs... namespaces) throws IOException {
    List<String> lines = new ArrayList<>();
    for (NetNs namespace : namespaces) {
      try (RouteSocket socket = RouteSocket.open(namespace)) {
        String role = roleOf(namespace) + ": ";
        linksAndRoutes(socket).stream().sorted().map(role::concat).forEach(lines::add);
      }
    }
    return new HostSnapshot(lines);
  }

  private static String roleOf(NetNs namespace) {
    return TestBed.nameOf(namespace).replaceFirst("cni-[a-z]+-[0-9a-f]{8}-", "");
  }

  private static List<String> linksAndRoutes(RouteSocket socket) throws IOException {
    List<String> lines = new ArrayList<>();
    Map<Integer, String> names = new HashMap<>();
    List<Link> links = socket.links();
    links.forEach(link -> names.put(link.index(), link.name()));
    for (Link link : links) {
      lines.add(
          "link %s %s %s up %s mtu %d master %s"
              .formatted(
                  link.name(),
                  link.kindData(),
                  link.mac(),
                  link.isUp(),
                  link.mtu(),
                  names.getOrDefault(link.master(), "none")));
      socket.addresses(link.index()).stream()
          .filter(it -> !it.address().isLinkLocalAddress())
          .forEach(
              it ->
                  lines.add("address %s %s/%d".formatted(link.name(), it.address(), it.prefix())));
    }
    for (IpFamily family : IpFamily.values()) {
      socket.routes(family).stream()
          .filter(it -> it.type() == RtnetlinkConstants.RTN_UNICAST)
          .filter(it -> !it.destination().isLinkLocalAddress())
          .filter(it -> !it.destination().isMulticastAddress())
          .forEach(it -> lines.add(routeLine(it, names)));
    }
    return lines;
  }

  private static String routeLine(Route route, Map<Integer, String> names) {
    List<String> hops =
        route.hops().stream()
            .map(it -> names.getOrDefault(it.link(), "none") + " via " + it.gateway())
            .toList();
    return "route %s/%d table %d metric %d scope %d protocol %d source %s mtu %d by %s"
        .formatted(
            route.destination(),
            route.prefix(),
            route.table(),
            route.priority(),
            route.scope(),
            route.protocol(),
            route.source(),
            route.mtu(),
            hops);
  }

  /**
   * Takes a snapshot of a directory: the names and the contents of its files, in all levels.
   *
   * @throws IOException if it cannot be read
   */
  public static HostSnapshot of(Path directory) throws IOException {
    List<String> lines = new ArrayList<>();
    if (Files.exists(directory)) {
      try (Stream<Path> files = Files.walk(directory)) {
        for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
          lines.add("%s: %s".formatted(directory.relativize(file), Files.readString(file)));
        }
      }
    }
    return new HostSnapshot(lines);
  }

  /** Returns a snapshot with the lines of both. */
  public HostSnapshot plus(HostSnapshot other) {
    return new HostSnapshot(Stream.concat(lines.stream(), other.lines.stream()).toList());
  }

  /**
   * Returns a snapshot that can be compared with that of another attachment of the same kind: names
   * of random veths and hardware addresses are replaced.
   */
  public HostSnapshot withoutRandomNames() {
    return new HostSnapshot(lines.stream().map(HostSnapshot::maskRandomNames).sorted().toList());
  }

  private static String maskRandomNames(String line) {
    String masked = BRIDGE_ID.matcher(line).replaceAll("8000.mac");
    return MAC.matcher(VETH.matcher(masked).replaceAll("veth")).replaceAll("mac");
  }

  /** Returns the lines that one of the snapshots has and the other has not; empty if equal. */
  public String diff(HostSnapshot other) {
    List<String> removed = new ArrayList<>(lines);
    other.lines.forEach(removed::remove);
    List<String> added = new ArrayList<>(other.lines);
    lines.forEach(added::remove);
    if (removed.isEmpty() && added.isEmpty() && !equals(other)) {
      return "the order differs:\n" + this + "---\n" + other;
    }
    return lines(removed, "- ") + lines(added, "+ ");
  }

  private static String lines(List<String> lines, String prefix) {
    var text = new StringBuilder();
    lines.forEach(line -> text.append(prefix).append(line).append('\n'));
    return text.toString();
  }

  /**
   * Requires that this state equals the expected one.
   *
   * @throws AssertionError with the lines that differ
   */
  public void requireEqual(HostSnapshot expected) {
    if (!equals(expected)) {
      throw new AssertionError("the state differs:\n" + expected.diff(this));
    }
  }

  @Override
  public String toString() {
    return lines(lines, "");
  }

  private static List<String> linesOf(NetNs namespace) throws IOException, CniException {
    List<String> sorted = new ArrayList<>();
    for (JsonNode link : list(namespace, LINKS)) {
      JsonNode addresses = ((ObjectNode) link).remove("addr_info");
      sorted.add("link " + link);
      addresses.forEach(
          it -> {
            if (!isAutomatic(it, "local")) {
              sorted.add("address of " + link.path("ifname").asString("") + " " + it);
            }
          });
    }
    for (String command : LISTS) {
      String title = command.replaceAll("-(?:j|d) | show.*", "") + " ";
      list(namespace, command).forEach(object -> sorted.add(title + object));
    }
    addSysctls(namespace, sorted);
    sorted.sort(null);
    List<String> lines = new ArrayList<>(sorted);
    addTrafficControl(namespace, lines);
    lines.addAll(NftRuleset.lines(namespace));
    return lines;
  }

  private static List<JsonNode> list(NetNs namespace, String command)
      throws IOException, CniException {
    String text = run(namespace, command).strip();
    JsonNode array = Json.parse("{\"of\":" + (text.isEmpty() ? "[]" : text) + "}", command);
    List<JsonNode> objects = new ArrayList<>();
    for (JsonNode object : array.get("of")) {
      removeVolatileKeys(object);
      if (!object.isEmpty() && !isLearned(object) && !isKernelRoute(object)) {
        objects.add(object);
      }
    }
    return objects;
  }

  /**
   * Returns whether an entry of a forwarding database was learned from traffic or is a multicast
   * group that the kernel has joined.
   */
  private static boolean isLearned(JsonNode object) {
    return object.has("mac")
        && (object.path("fdb_state").asString("").isEmpty()
            || MULTICAST_MAC.matcher(object.path("mac").asString("")).lookingAt());
  }

  /**
   * Returns whether the kernel adds a route with an address or an interface, for IPv6 with a delay:
   * it says nothing that the address does not say.
   */
  private static boolean isKernelRoute(JsonNode object) {
    return object.has("dst")
        && object.path("protocol").asString("").equals("kernel")
        && (object.path("table").asString("").equals("local") || isAutomatic(object, "dst"));
  }

  /** Returns whether an address is link-local and derived from the hardware address. */
  private static boolean isAutomatic(JsonNode object, String key) {
    return AUTOMATIC.matcher(object.path(key).asString("")).matches();
  }

  private static void removeVolatileKeys(JsonNode node) {
    if (node instanceof ObjectNode object) {
      if (object.has("mac") && object.has("state")) {
        object.set("fdb_state", object.get("state"));
      }
      object.remove(VOLATILE_KEYS);
      object.properties().forEach(entry -> removeVolatileKeys(entry.getValue()));
    } else if (node instanceof ArrayNode array) {
      array.forEach(HostSnapshot::removeVolatileKeys);
      array.removeIf(
          item -> (item.isEmpty() && item.isObject()) || CARRIER_FLAGS.contains(item.asString("")));
    }
  }

  /** Adds the sysctls of each interface and those of the namespace. */
  private static void addSysctls(NetNs namespace, List<String> lines) throws IOException {
    // Some files cannot be read: a status other than 0.
    TestBed.tryRun(namespace, "grep", "-rs", "", "/proc/sys/net")
        .text()
        .lines()
        .filter(line -> !VOLATILE_SYSCTL.matcher(line).find())
        .forEach(line -> lines.add("sysctl " + line));
  }

  /** As text: classes of htb have no JSON in iproute2 6.1. */
  private static void addTrafficControl(NetNs namespace, List<String> lines) throws IOException {
    for (String link : linkNames(namespace)) {
      for (String command :
          List.of(
              "qdisc show dev ",
              "class show dev ",
              "filter show dev ",
              "filter show ingress dev ",
              "filter show egress dev ")) {
        TestBed.tryRun(namespace, ("tc " + command + link).split(" "))
            .text()
            .lines()
            .map(HostSnapshot::withoutTcCounters)
            .filter(line -> !line.isBlank() && !line.matches("qdisc (noqueue|noop) .*"))
            .forEach(line -> lines.add("tc " + link + ": " + line));
      }
    }
  }

  private static String withoutTcCounters(String line) {
    String text = TC_COUNTER.matcher(line.strip() + " ").replaceAll("");
    return ASSIGNED_HANDLE.matcher(text).replaceAll("assigned:").strip();
  }

  private static List<String> linkNames(NetNs namespace) throws IOException {
    return run(namespace, "ip -o link show")
        .lines()
        .filter(line -> line.matches("[0-9]+: .*")) // not what is printed to standard error
        .map(line -> line.split("[:@]\\s*", 3)[1])
        .sorted()
        .toList();
  }

  private static String run(NetNs namespace, String command) throws IOException {
    return TestBed.run(namespace, command.split(" "));
  }
}
