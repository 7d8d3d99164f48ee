// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

import cni.api.Attachment;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.IpFamily;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.runtime.CachedAttachment;
import cni.runtime.Cni;
import cni.testing.EchoServer;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A host with two containers and a machine outside, for packets between them. */
final class PathWorld implements AutoCloseable {
  static final int PORT = 8080;

  private final TestHost host;
  private final Cni cni;
  private final IpFamily family;
  private final List<EchoServer> servers = new ArrayList<>();
  private final NetNs a;
  private final NetNs b;
  private Optional<NetNs> outside = Optional.empty();

  PathWorld(IpFamily family) throws IOException {
    host = new TestHost();
    this.family = family;
    cni = host.openCni();
    a = host.container("a");
    b = host.container("b");
  }

  boolean isV4() {
    return family == IpFamily.IPV4;
  }

  TestHost host() {
    return host;
  }

  Cni cni() {
    return cni;
  }

  NetNs a() {
    return a;
  }

  NetNs b() {
    return b;
  }

  /** Creates the machine outside, to which the host has a default route. */
  NetNs outside() throws IOException {
    if (outside.isEmpty()) {
      outside = Optional.of(host.outside());
      host("ip", "route", "add", "default", "via", TestHost.OUTSIDE_V4);
      host("ip", "-6", "route", "add", "default", "via", TestHost.OUTSIDE_V6);
    }
    return outside.get();
  }

  /** Defines a bridge network and attaches containers to it. */
  void bridge(String name, int subnet, String options, String others, NetNs... containers)
      throws Exception {
    String bridge =
        """
        { "type": "bridge", "bridge": "br%d", "isDefaultGateway": true, %s
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.%d.0.0/24" }], [{ "subnet": "fd%d::/64" }]] } }
        """
            .formatted(subnet, options, subnet, subnet);
    if (others.isEmpty()) {
      host.network(name, "1.1.0", bridge);
    } else {
      host.network(name, "1.1.0", bridge, others);
    }
    for (NetNs container : containers) {
      cni.network(name).add(TestHost.attachment(container));
    }
    host.awaitAddresses();
  }

  /** Attaches both containers to one bridge. */
  void bridge() throws Exception {
    bridge("n", 50, "", "", a, b);
  }

  /** Attaches a container with a port that is published. */
  void publish(NetNs container, int containerPort) throws Exception {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br50", "isDefaultGateway": true, "ipMasq": true,
          "hairpinMode": true,
          "ipam": { "type": "host-local", "dataDir": "@DATA@",
                    "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
        """,
        "{ \"type\": \"portmap\", \"backend\": \"nftables\","
            + " \"capabilities\": { \"portMappings\": true } }");
    cni.network("n")
        .add(
            TestHost.attachment(
                container,
                "portMappings",
                ("[{\"hostPort\":8000,\"containerPort\":%d,\"protocol\":\"tcp\"},"
                        + "{\"hostPort\":8000,\"containerPort\":%d,\"protocol\":\"udp\"}]")
                    .formatted(containerPort, containerPort)));
    host.awaitAddresses();
  }

  /** Attaches a container with TCP port 8000 of one address of the host published. */
  void publishOn(String hostIp, NetNs container) throws Exception {
    String portmap = "{ \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }";
    bridge("n", 50, "", portmap);
    String mapping =
        "[{\"hostPort\":8000,\"containerPort\":80,\"protocol\":\"tcp\",\"hostIP\":\"%s\"}]"
            .formatted(hostIp);
    cni.network("n").add(TestHost.attachment(container, "portMappings", mapping));
    host.awaitAddresses();
  }

  /** Attaches the containers with labels, and puts a policy in force. */
  void policies(String file) throws Exception {
    var directories =
        new PolicyDirectories(
            host.directory().resolve("policy.d"), host.directory().resolve("policy"));
    Files.createDirectories(directories.policies());
    String plugin =
        ("{ \"type\": \"policy\", \"policyDir\": \"%s\", \"dataDir\": \"%s\","
                + " \"capabilities\": { \"labels\": true } }")
            .formatted(directories.policies(), directories.data());
    bridge("n", 50, "", plugin);
    for (NetNs container : List.of(a, b)) {
      Attachment plain = TestHost.attachment(container);
      var labels = Json.parse("{\"app\":\"" + (container == a ? "a" : "b") + "\"}", "labels");
      cni.network("n")
          .add(
              new Attachment(
                  plain.id(), plain.namespace(), plain.args(), Map.of("labels", labels)));
    }
    Files.writeString(directories.policies().resolve("policy.json"), file);
    apply(directories);
  }

  private void apply(PolicyDirectories directories) throws CniException, IOException {
    var context =
        new CallContext(
            Optional.of(host.netns().path()),
            Deadline.none(),
            type -> {
              throw new UnsupportedOperationException(type);
            });
    try (NetNsSession session = NetNsSession.openHost(context)) {
      var policies = new HostPolicies(directories, session, Deadline.none());
      policies.apply(policies.readDirectory().policies());
    }
  }

  /** Starts a server of TCP and UDP. */
  void serve(NetNs netns) throws IOException {
    servers.add(EchoServer.start(netns, PORT));
  }

  void host(String... command) throws IOException {
    in(host.netns(), command);
  }

  /** Deletes a container's namespace, and waits until the kernel has removed its interfaces. */
  void remove(NetNs container, String hostPort) throws Exception {
    host.delete(container);
    while (TestBed.tryRun(host.netns(), "ip", "link", "show", hostPort).status() == 0) {
      Thread.sleep(20);
    }
  }

  static void in(NetNs netns, String... command) throws IOException {
    String _ = TestBed.run(netns, command);
  }

  /** Runs ip with the family. */
  void ip(NetNs netns, String arguments) throws IOException {
    String command = "ip " + (isV4() ? "-4 " : "-6 ") + arguments;
    in(netns, command.split(" ", -1));
  }

  /** Adds a chain to a table of its own, with rules in nft's syntax. */
  void nft(NetNs netns, String family, String hook, String rules) throws IOException {
    String ruleset =
        "table %s other { chain c { type filter hook %s;\n%s\n}\n}\n"
            .formatted(family, hook, rules);
    Path file = Files.createTempFile(host.directory(), "rules", ".nft");
    Files.writeString(file, ruleset);
    in(netns, "nft", "-f", file.toString());
  }

  /** Returns iptables or ip6tables. */
  String iptables() {
    return isV4() ? "iptables" : "ip6tables";
  }

  /** Returns the address of a container on its network. */
  InetAddress address(NetNs container) throws CniException {
    for (CachedAttachment it : cni.attachments()) {
      if (it.attachment().containerId().equals(TestBed.nameOf(container))) {
        for (InetAddress address : Namespaces.addresses(it)) {
          if (IpFamily.of(address) == family) {
            return address;
          }
        }
      }
    }
    throw new AssertionError(container + " has no address");
  }

  InetAddress either(String v4, String v6) {
    return InetAddress.ofLiteral(isV4() ? v4 : v6);
  }

  /** Returns a namespace as an end of a path. */
  PathEnd end(NetNs netns) throws CniException {
    if (netns == host.netns()) {
      return new PathEnd.Host();
    }
    List<InetAddress> addresses = new ArrayList<>();
    for (CachedAttachment it : cni.attachments()) {
      if (it.attachment().containerId().equals(TestBed.nameOf(netns))) {
        addresses.addAll(Namespaces.addresses(it));
      }
    }
    return new PathEnd.Namespace(TestBed.nameOf(netns), netns.path(), addresses);
  }

  @Override
  public void close() throws IOException {
    for (EchoServer server : servers) {
      server.close();
    }
    cni.close();
    host.close();
  }
}
