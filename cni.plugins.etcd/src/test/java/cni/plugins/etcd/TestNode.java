// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AddressReport;
import cni.api.AddressReport.Liveness;
import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.UpdateRequest;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ObjectNode;

/**
 * A node of a simulated cluster, which calls the plugin under its own name.
 *
 * @param plugin the plugin
 * @param name the node's name
 * @param endpoints the client URLs of etcd
 * @param directory the node's state directory
 * @param ipam further keys of the {@code ipam} section, without braces
 * @param network the network's name
 */
record TestNode(
    EtcdPlugin plugin,
    String name,
    List<String> endpoints,
    Path directory,
    String ipam,
    String network) {
  static final String NETWORK = "n";
  static final String PREFIX = "/test";
  static final String DUAL_STACK =
      "\"ranges\":[[{\"subnet\":\"10.1.0.0/16\"}],[{\"subnet\":\"fd00:1::/64\"}]]";

  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  TestNode(EtcdPlugin plugin, String name, List<String> endpoints, Path directory, String ipam) {
    this(plugin, name, endpoints, directory, ipam, NETWORK);
  }

  /** Returns a node of a network with IPv4 and IPv6. */
  static TestNode of(String name, List<String> endpoints, Path directory) {
    return new TestNode(
        new EtcdPlugin(), name, endpoints, directory.resolve(name), "\"gcGrace\":0," + DUAL_STACK);
  }

  /** Returns this node with other keys of the {@code ipam} section. */
  TestNode with(String keys) {
    return new TestNode(plugin, name, endpoints, directory, keys, network);
  }

  /** Returns this node with another plugin, such as that of a resident host. */
  TestNode with(EtcdPlugin other) {
    return new TestNode(other, name, endpoints, directory, ipam, network);
  }

  /** Returns this node with other client URLs of etcd. */
  TestNode at(List<String> urls) {
    return new TestNode(plugin, name, urls, directory, ipam, network);
  }

  /** Returns this node in another network. */
  TestNode in(String otherNetwork) {
    return new TestNode(plugin, name, endpoints, directory, ipam, otherNetwork);
  }

  PluginConfig config() throws CniException {
    ObjectNode json =
        Json.parse(
            "{\"cniVersion\":\"1.1.0\",\"name\":\""
                + network
                + "\",\"type\":\"bridge\",\"ipam\":{\"type\":\"etcd\","
                + ipam
                + "}}",
            "test");
    ObjectNode section = (ObjectNode) json.get("ipam");
    endpoints.forEach(section.withArray("endpoints")::add);
    if (!section.has("prefix")) {
      section.put("prefix", PREFIX);
    }
    section.put("node", name).put("dataDir", directory.toString());
    return PluginConfig.of(new ConfigObject(json, ""));
  }

  private static CallContext context() {
    return context(Deadline.after(TIMEOUT));
  }

  /** Returns the context of a call, which runs no other plugin. */
  static CallContext context(Deadline deadline) {
    return new CallContext(
        Optional.empty(),
        deadline,
        type -> {
          throw new CniException(ErrorCode.INTERNAL, type);
        });
  }

  static AttachmentId id(String container) {
    return new AttachmentId(container, "eth0");
  }

  AttachmentRequest request(String container, Map<String, String> args) throws CniException {
    var attachment = new Attachment(id(container), Optional.empty(), new HashMap<>(args), Map.of());
    return new AttachmentRequest(config(), attachment, Optional.empty(), context());
  }

  /** Adds a container and returns its addresses. */
  List<String> add(String container) throws CniException {
    return add(container, Map.of());
  }

  /** Adds a container with CNI_ARGS and returns its addresses. */
  List<String> add(String container, Map<String, String> args) throws CniException {
    return addresses(plugin.add(request(container, args)));
  }

  static List<String> addresses(Result result) {
    return result.ips().stream()
        .map(ip -> InetAddresses.format(ip.address().address()))
        .collect(Collectors.toList());
  }

  void delete(String container) throws CniException {
    plugin.delete(request(container, Map.of()));
  }

  /** Checks a container that has these addresses. */
  void check(String container, List<String> addresses) throws CniException {
    plugin.check(requestWithResult(container, addresses));
  }

  /** Repairs a container that has these addresses, as {@code cni repair} does. */
  void repair(String container, List<String> addresses) throws Exception {
    var request = UpdateRequest.unchanged(requestWithResult(container, addresses));
    try (var differences = new Differences()) {
      plugin.compare(request, differences);
      for (Differences.Difference it : differences.list()) {
        it.change().orElseThrow().apply().run();
      }
    }
  }

  /** Returns a request for a container whose ADD had these addresses as its result. */
  AttachmentRequest requestWithResult(String container, List<String> addresses)
      throws CniException {
    AttachmentRequest request = request(container, Map.of());
    List<Result.IpConfig> ips =
        addresses.stream()
            .map(
                it ->
                    new Result.IpConfig(
                        Cidr.ofHost(InetAddresses.parse(it)),
                        Optional.empty(),
                        OptionalInt.empty()))
            .toList();
    return new AttachmentRequest(
        request.config(),
        request.attachment(),
        Optional.of(new Result(List.of(), ips, List.of(), Dns.NONE)),
        request.context());
  }

  void gc(String... validContainers) throws CniException {
    Set<AttachmentId> valid =
        List.of(validContainers).stream().map(TestNode::id).collect(Collectors.toSet());
    plugin.gc(new GcRequest(config(), valid, context()));
  }

  void status() throws CniException {
    plugin.status(networkRequest());
  }

  /** Returns what the plugin of this node reports about a node; empty if it does not list it. */
  Optional<Liveness> liveness(String node) throws CniException {
    return plugin.report(networkRequest()).nodes().stream()
        .filter(it -> it.name().equals(node))
        .map(AddressReport.Node::liveness)
        .findFirst();
  }

  NetworkRequest networkRequest() throws CniException {
    return new NetworkRequest(config(), context());
  }
}
