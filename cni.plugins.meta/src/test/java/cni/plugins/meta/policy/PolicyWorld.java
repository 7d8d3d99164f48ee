// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.Attachment;
import cni.api.CniArgs;
import cni.api.Deadline;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.policy.HostPolicies;
import cni.policy.PolicyEvaluator;
import cni.runtime.AttachmentUpdate;
import cni.testing.EchoServer;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A small world for policies: containers on two bridges and on a routed network, a machine beyond
 * the host that has two addresses of each IP version, and the host.
 *
 * <pre>
 *   blue, bridge br0: web, db, mon     10.50.0.0/24  fd50::/64
 *   green, bridge br1: cache, api      10.60.0.0/24  fd60::/64
 *   routed, ptp: job                   10.70.0.0/24  fd70::/64
 *   outside: out 192.0.2.2 2001:db8::2, far 192.0.2.130 2001:db8::82
 * </pre>
 */
final class PolicyWorld implements AutoCloseable {
  /** The TCP and UDP ports that every node listens on. */
  static final int[] PORTS = {53, 80, 81, 5432, 8080, 8081, 8082};

  static final String HOST = "host";

  private static final String NETWORK =
      """
      { "type": "%s", %s
        "ipam": { "type": "host-local", "dataDir": "@DATA@",
                  "ranges": [[{ "subnet": "10.%d.0.0/24" }], [{ "subnet": "fd%d::/64" }]],
                  "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }] } }
      """;

  private static final String NAMED_PORTS =
      """
      { "http": { "port": 80 }, "sql": "5432/tcp", "dns": "53/udp" }
      """;

  /** The labels that each container has at first; ns is its Kubernetes namespace. */
  private static final Map<String, String> LABELS = new LinkedHashMap<>();

  static {
    LABELS.put("web", "app=web,tier=front");
    LABELS.put("db", "app=db,tier=back");
    LABELS.put("mon", "app=mon");
    LABELS.put("cache", "app=cache,tier=back");
    LABELS.put("api", "app=api,tier=front");
    LABELS.put("job", "app=job,tier=batch");
  }

  private static final Map<String, String> NAMESPACES =
      Map.of("web", "x", "mon", "x", "db", "y", "api", "y", "cache", "z", "job", "z");

  private static final Map<String, String> NETWORKS =
      Map.of(
          "web", "blue", "db", "blue", "mon", "blue", "cache", "green", "api", "green", "job",
          "routed");

  /**
   * A machine or a container.
   *
   * @param link its interface
   * @param mac the address of its interface
   * @param gatewayMac the address of the interface that its packets to other networks go to
   */
  record Node(
      String name,
      NetNs netns,
      String link,
      InetAddress v4,
      InetAddress v6,
      String mac,
      String gatewayMac) {
    InetAddress address(boolean isV4) {
      return isV4 ? v4 : v6;
    }
  }

  private final TestHost host;
  private final PolicyHost policies;
  private final Map<String, Node> nodes = new LinkedHashMap<>();
  private final Map<String, PacketTap> taps = new HashMap<>();
  private final Map<String, String> labels = new HashMap<>(LABELS);
  private final List<EchoServer> servers = new ArrayList<>();
  private final Set<InetAddress> hostAddresses = new HashSet<>();

  PolicyWorld(TestHost host) throws Exception {
    this.host = host;
    policies = new PolicyHost(host);
    NetNs outside = host.outside();
    policies.network("blue", bridge("br0", 50));
    policies.network("green", bridge("br1", 60));
    policies.network("routed", NETWORK.formatted("ptp", "", 70, 70));
    for (String name : LABELS.keySet()) {
      addContainer(name);
    }
    addOutside(outside);
    host.awaitAddresses();
    for (Node node : nodes.values()) {
      for (int port : PORTS) {
        servers.add(EchoServer.start(node.netns(), node.v4(), port));
        servers.add(EchoServer.start(node.netns(), node.v6(), port));
      }
    }
  }

  private static String bridge(String name, int number) {
    String keys = "\"bridge\": \"%s\", \"isGateway\": true,".formatted(name);
    return NETWORK.formatted("bridge", keys, number, number);
  }

  private static String network(String container) {
    return Objects.requireNonNull(NETWORKS.get(container));
  }

  private static String firstLabels(String container) {
    return Objects.requireNonNull(LABELS.get(container));
  }

  private void addContainer(String name) throws Exception {
    NetNs netns = host.container(name);
    policies.cni().network(network(name)).add(attachment(name, netns));
    addNode(name, netns, "eth0", address(netns, "eth0", true), address(netns, "eth0", false));
  }

  private void addNode(String name, NetNs netns, String link, String v4, String v6)
      throws Exception {
    String mac = mac(netns, link);
    String gateway =
        switch (NETWORKS.getOrDefault(name, name)) {
          case "blue" -> mac(host.netns(), "br0");
          case "green" -> mac(host.netns(), "br1");
          case "routed" -> mac(host.netns(), routedPeer());
          default -> mac(host.netns(), "up0");
        };
    InetAddress address6 = InetAddress.ofLiteral(v6);
    nodes.put(name, new Node(name, netns, link, InetAddress.ofLiteral(v4), address6, mac, gateway));
  }

  private String routedPeer() throws IOException {
    for (String line : TestBed.run(host.netns(), "ip", "-4", "route").split("\n", -1)) {
      if (line.startsWith("10.70.0.") && line.contains("dev veth")) {
        return line.replaceAll(".*dev (\\S+).*", "$1");
      }
    }
    throw new AssertionError("no route to the routed container");
  }

  private void addOutside(NetNs outside) throws Exception {
    addNode("out", outside, "up1", TestHost.OUTSIDE_V4, TestHost.OUTSIDE_V6);
    TestBed.addAddress(outside, "up1", "192.0.2.130", 24);
    TestBed.addAddress(outside, "up1", "2001:db8::82", 64);
    addNode("far", outside, "up1", "192.0.2.130", "2001:db8::82");
    for (int network : new int[] {50, 60, 70}) {
      TestBed.run(
          outside, "ip", "route", "add", "10." + network + ".0.0/24", "via", TestHost.HOST_V4);
      TestBed.run(
          outside, "ip", "-6", "route", "add", "fd" + network + "::/64", "via", TestHost.HOST_V6);
    }
    addNode(HOST, host.netns(), "up0", TestHost.HOST_V4, TestHost.HOST_V6);
    JsonNode links =
        Json.parse("{\"of\":" + TestBed.run(host.netns(), "ip", "-j", "address") + "}", "ip")
            .get("of");
    for (JsonNode address : links.findValues("local")) {
      hostAddresses.add(InetAddress.ofLiteral(address.asString()));
    }
  }

  static String mac(NetNs netns, String link) throws IOException {
    String text = TestBed.run(netns, "ip", "-o", "link", "show", link);
    return text.replaceAll("(?s).*link/ether (\\S+) .*", "$1");
  }

  static String address(NetNs netns, String link, boolean isV4) throws IOException {
    String text =
        TestBed.run(
            netns,
            "ip",
            isV4 ? "-4" : "-6",
            "-o",
            "address",
            "show",
            "dev",
            link,
            "scope",
            "global");
    return text.replaceAll("(?s).*inet6? ([^/]+)/.*", "$1");
  }

  private static Attachment attachment(String name, NetNs netns) throws Exception {
    Attachment plain = PolicyHost.labelled(netns, firstLabels(name));
    Map<String, JsonNode> capabilities = new HashMap<>(plain.capabilityArgs());
    capabilities.put("namedPorts", Json.parse(NAMED_PORTS, "ports"));
    return new Attachment(
        plain.id(),
        plain.namespace(),
        CniArgs.ofText("K8S_POD_NAMESPACE=" + NAMESPACES.get(name) + ";K8S_POD_NAME=" + name),
        capabilities);
  }

  TestHost host() {
    return host;
  }

  PolicyHost policies() {
    return policies;
  }

  List<Node> nodes() {
    return List.copyOf(nodes.values());
  }

  List<String> containers() {
    return List.copyOf(LABELS.keySet());
  }

  Node node(String name) {
    Node node = nodes.get(name);
    if (node == null) {
      throw new AssertionError("no node " + name);
    }
    return node;
  }

  boolean isContainer(String name) {
    return LABELS.containsKey(name);
  }

  /** Returns the hardware address that a node's frames to another one must have. */
  String nextHop(Node from, Node to) {
    String network = NETWORKS.getOrDefault(from.name(), "");
    boolean isNeighbor =
        !network.equals("routed") && network.equals(NETWORKS.getOrDefault(to.name(), "none"));
    return isNeighbor ? to.mac() : from.gatewayMac();
  }

  /** Returns the address that a node sends from: the host, which has many, from the nearest one. */
  InetAddress source(Node from, Node to, boolean isV4) {
    int network =
        switch (NETWORKS.getOrDefault(to.name(), "")) {
          case "blue" -> 50;
          case "green" -> 60;
          case "routed" -> 70;
          default -> 0;
        };
    return from.name().equals(HOST) && network > 0
        ? InetAddress.ofLiteral(
            isV4 ? "10.%d.0.1".formatted(network) : "fd%d::1".formatted(network))
        : from.address(isV4);
  }

  /** Returns the tap of a node's interface. */
  PacketTap tap(String name) throws IOException {
    String owner = name.equals("far") ? "out" : name;
    PacketTap tap = taps.get(owner);
    if (tap == null) {
      tap = PacketTap.open(node(owner).netns(), node(owner).link());
      taps.put(owner, tap);
    }
    return tap;
  }

  /** Puts policies in force, instead of those before: a list in JSON with single quotes. */
  void apply(String list) throws Exception {
    policies.apply("world.json", list.replace('\'', '"'));
  }

  /** Removes all rules as another program may do, which lets everything pass. */
  void flush() throws IOException {
    TestBed.run(host.netns(), "nft", "flush", "ruleset");
  }

  /** Restores the rules that other programs have changed. */
  void restore() throws Exception {
    try (var session = policies.session()) {
      new HostPolicies(policies.directories(), session, Deadline.none()).restore();
    }
  }

  /** Changes the labels of a container. */
  void relabel(String name, String newLabels) throws Exception {
    ObjectNode json = Json.object();
    for (String label : newLabels.split(",", -1)) {
      String[] parts = label.split("=", 2);
      json.put(parts[0], parts[1]);
    }
    policies
        .cni()
        .network(network(name))
        .update(
            TestHost.attachment(node(name).netns()).id(),
            AttachmentUpdate.NONE.withCapabilityArg("labels", json));
    labels.put(name, newLabels);
  }

  /** Gives the containers their first labels again. */
  void restoreLabels() throws Exception {
    for (Map.Entry<String, String> entry : List.copyOf(labels.entrySet())) {
      String name = entry.getKey();
      if (!entry.getValue().equals(firstLabels(name))) {
        relabel(name, firstLabels(name));
      }
    }
  }

  /** Returns what decides what is in force. */
  PolicyEvaluator evaluator() throws Exception {
    try (var session = policies.session()) {
      var state = new HostPolicies(policies.directories(), session, Deadline.none()).state();
      return PolicyEvaluator.of(state, hostAddresses);
    }
  }

  @Override
  public void close() {
    for (EchoServer server : servers) {
      try {
        server.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    taps.values().forEach(PacketTap::close);
    policies.close();
  }
}
