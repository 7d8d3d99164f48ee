// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/**
 * A host for testing plugins and runtimes: namespaces for the host and its containers, and
 * directories for network configurations, executables, results and reservations.
 *
 * <pre>{@code
 * try (var host = new TestHost()) {
 *   NetNs a = host.container("a");
 *   host.network("n", "1.1.0", "{ \"type\": \"bridge\", ... }");
 *   try (Cni cni = host.openCni()) {
 *     cni.network("n").add(TestHost.attachment(a));
 *     assertTrue(Probe.ping(a, "10.50.0.1"));
 *     cni.network("n").delete(TestHost.attachment(a));
 *     host.assertNothingLeft("n", a);
 *   }
 * }
 * }</pre>
 */
public final class TestHost extends TestBed {
  /** A bridge plugin with IPv4 and IPv6 addresses; {@code %s} is replaced by further options. */
  public static final String DUAL_STACK =
      """
      { "type": "bridge", "bridge": "br0", "isDefaultGateway": true, %s
        "ipam": { "type": "host-local", "dataDir": "@DATA@",
                  "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
      """;

  /** The IPv4 address of the namespace that {@link #outside} creates; its network is a /24. */
  public static final String OUTSIDE_V4 = "192.0.2.2";

  /** The IPv6 address of the namespace that {@link #outside} creates; its network is a /64. */
  public static final String OUTSIDE_V6 = "2001:db8::2";

  /** The host's IPv4 address towards {@link #outside}. */
  public static final String HOST_V4 = "192.0.2.1";

  /** The host's IPv6 address towards {@link #outside}. */
  public static final String HOST_V6 = "2001:db8::1";

  private final List<EchoServer> servers = new ArrayList<>();

  /**
   * Creates the namespace and the directories.
   *
   * @throws IOException if they cannot be created
   */
  public TestHost() throws IOException {
    Files.createDirectories(networks());
    Files.createDirectories(executables());
  }

  /** Returns the directory of network configurations. */
  public Path networks() {
    return directory().resolve("net.d");
  }

  /** Returns the directory of executables, which is the plugin path of {@link #builder}. */
  public Path executables() {
    return directory().resolve("bin");
  }

  /** Returns the cache directory. It exists once there are results. */
  public Path cache() {
    return directory().resolve("cache");
  }

  /** Returns host-local's {@code dataDir}. It exists once there are reservations. */
  public Path ipamData() {
    return directory().resolve("data");
  }

  /**
   * Creates the namespace of a container.
   *
   * @param name unique on this host
   * @throws IOException if it cannot be created
   */
  public NetNs container(String name) throws IOException {
    return namespace(name);
  }

  /**
   * Creates a namespace that represents the network beyond the host. The link {@code up0} of the
   * host is connected to the link {@code up1} of the namespace. It has no routes to containers.
   *
   * @throws IOException if it cannot be created
   */
  public NetNs outside() throws IOException {
    NetNs outside = namespace("outside");
    connect(netns(), "up0", outside, "up1");
    addAddress(netns(), "up0", HOST_V4, 24);
    addAddress(netns(), "up0", HOST_V6, 64);
    addAddress(outside, "up1", OUTSIDE_V4, 24);
    addAddress(outside, "up1", OUTSIDE_V6, 64);
    return outside;
  }

  /**
   * Starts an {@link EchoServer} that is closed with the host.
   *
   * @throws IOException if the port is in use
   */
  public void serve(NetNs netns, int port) throws IOException {
    servers.add(EchoServer.start(netns, port));
  }

  /**
   * Waits until no address of the host is tentative. The link-local addresses of a new bridge are
   * checked for duplicates for about a second, in which neighbour solicitations for containers
   * fail.
   *
   * @throws AssertionError if there are tentative addresses after a minute
   * @throws IOException if {@code ip} cannot be started
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public void awaitAddresses() throws IOException, InterruptedException {
    awaitAddresses(netns());
  }

  /**
   * Waits until no address of a namespace is tentative. The kernel makes an address usable in a
   * work queue, also without duplicate address detection: for a moment after the interface comes
   * up, a program that asks for a source address gets EADDRNOTAVAIL.
   *
   * @throws AssertionError if there are tentative addresses after a minute
   * @throws IOException if {@code ip} cannot be started
   * @throws InterruptedException if the thread is interrupted while it waits
   */
  public static void awaitAddresses(NetNs netns) throws IOException, InterruptedException {
    for (int i = 0; i < 1200; i++) {
      if (run(netns, "ip", "-6", "-o", "addr", "show", "tentative").isBlank()) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError(netns + " still has tentative addresses");
  }

  /**
   * Deletes host-local's files of a network.
   *
   * @throws IOException if they cannot be deleted
   */
  public void deleteReservations(String network) throws IOException {
    deleteFiles(ipamData().resolve(network));
  }

  /**
   * Deletes the cached results, as if the process had been killed before it wrote them.
   *
   * @throws IOException if they cannot be deleted
   */
  public void deleteResults() throws IOException {
    deleteFiles(cache().resolve("results"));
  }

  private static void deleteFiles(Path directory) throws IOException {
    for (String name : list(directory)) {
      Files.delete(directory.resolve(name));
    }
  }

  /**
   * Deletes a container's namespace and creates another one under the same name.
   *
   * @throws IOException if either fails
   */
  public void recreate(NetNs container) throws IOException {
    delete(container);
    NetNs.create(nameOf(container)).close();
  }

  /**
   * As {@link #recreate}, but waits until the kernel has removed the interfaces of the former
   * namespace, which it does some time after the last reference to the namespace has gone. Until
   * then a vlan of the same id cannot be created, for example.
   *
   * @throws IOException if that fails, or does not happen in a minute
   */
  public void recreateOnceRemoved(NetNs container) throws IOException {
    connect(netns(), "alive", container, "alive");
    recreate(container);
    try (RouteSocket routes = RouteSocket.open(netns())) {
      long end = System.nanoTime() + Duration.ofMinutes(1).toNanos();
      while (routes.link("alive").isPresent()) {
        if (System.nanoTime() - end > 0) {
          throw new IOException("the interfaces of the namespace before are not removed");
        }
        LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
      }
    }
  }

  /**
   * Writes the configuration of a network.
   *
   * @param version its cniVersion
   * @param plugins the plugins' configurations in JSON, in the order of the chain; {@code @DATA@}
   *     is replaced by {@link #ipamData}
   * @throws IOException if the file cannot be written
   */
  public void network(String name, String version, String... plugins) throws IOException {
    String text =
        "{ \"cniVersion\": \"%s\", \"name\": \"%s\", \"plugins\": [ %s ] }"
            .formatted(version, name, String.join(",\n", plugins));
    Files.writeString(
        networks().resolve(name + ".conflist"), text.replace("@DATA@", ipamData().toString()));
  }

  /**
   * Writes the configuration of a network of one {@linkplain #DUAL_STACK dual-stack bridge}.
   *
   * @param options further options of the bridge, each followed by a comma; may be empty
   * @throws IOException if the file cannot be written
   */
  public void dualStack(String name, String options) throws IOException {
    network(name, "1.0.0", DUAL_STACK.formatted(options));
  }

  /**
   * Writes an executable plugin.
   *
   * @param body a shell script
   * @throws IOException if the file cannot be written
   */
  public void script(String type, String body) throws IOException {
    Path file = executables().resolve(type);
    Files.writeString(file, "#!/bin/sh\n" + body);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Returns a builder with the directories and the namespace of this host. */
  public CniBuilder builder() {
    return Cni.builder()
        .networks(networks())
        .executables(executables())
        .cache(cache())
        .hostNamespace(netns().path());
  }

  /** Opens the networks of this host. */
  public Cni openCni() {
    return builder().build();
  }

  /**
   * Opens the networks of this host with {@linkplain ReferencePlugins reference plugins} for some
   * types and modules for all others.
   */
  public Cni withReference(String... types) {
    return builder().executables(ReferencePlugins.directory()).forceExecutables(types).build();
  }

  /** Returns the attachment of a container by {@code eth0}; its id is the namespace's name. */
  public static Attachment attachment(NetNs container) {
    return Attachment.of(nameOf(container), container.path(), "eth0");
  }

  /**
   * Returns the attachment of a container with one capability argument.
   *
   * @param capability such as {@code portMappings}
   * @param argument in JSON
   * @throws CniException if the argument is not JSON
   */
  public static Attachment attachment(NetNs container, String capability, String argument)
      throws CniException {
    return attachment(container)
        .withCapabilityArgs(
            Map.of(capability, Json.parse("{\"of\":" + argument + "}", capability).get("of")));
  }

  /**
   * Returns the addresses that host-local holds for a network, sorted as text.
   *
   * @throws IOException if the directory cannot be read
   */
  public List<String> reservations(String network) throws IOException {
    return list(ipamData().resolve(network)).stream()
        .filter(name -> name.matches("[0-9a-f.:]+"))
        .sorted()
        .toList();
  }

  /**
   * Returns the names of the files of cached results.
   *
   * @throws IOException if the directory cannot be read
   */
  public List<String> results() throws IOException {
    return list(cache().resolve("results"));
  }

  private static List<String> list(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return new ArrayList<>(
          files.map(file -> Objects.requireNonNull(file.getFileName()).toString()).toList());
    }
  }

  /**
   * Requires that no attachment left a veth, a reservation or a result.
   *
   * @throws AssertionError if one did
   * @throws IOException if they cannot be listed
   */
  public void assertNothingLeft(String network, NetNs... containers) throws IOException {
    List<String> veths = new ArrayList<>(linkNames(netns(), "veth"));
    veths.remove("up0"); // to the outside
    requireEmpty(veths, "veths on the host");
    requireEmpty(reservations(network), "reservations");
    requireEmpty(results(), "results");
    for (NetNs container : containers) {
      requireEmpty(linkNames(container, "veth"), "veths in " + container);
    }
  }

  private static void requireEmpty(List<String> found, String what) {
    if (!found.isEmpty()) {
      throw new AssertionError(what + " left: " + found);
    }
  }

  @Override
  public void close() throws IOException {
    for (EchoServer server : servers) {
      server.close();
    }
    super.close();
  }
}
