package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.NetNs;
import cni.netlink.lab.Lab;
import cni.netlink.lab.ReferencePlugins;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/** A throw-away host with networks, reservations, results and executables of its own. */
final class TestHost implements AutoCloseable {
  /** Two families, and a gateway on the bridge. */
  static final String DUAL_STACK =
      """
      { "type": "bridge", "bridge": "br0", "isDefaultGateway": true, %s
        "ipam": { "type": "host-local", "dataDir": "@DATA@",
                  "ranges": [[{ "subnet": "10.50.0.0/24" }], [{ "subnet": "fd50::/64" }]] } }
      """;

  private final Lab lab = new Lab();
  private final List<Echo> servers = new ArrayList<>();

  TestHost() throws IOException {
    Files.createDirectories(networks());
    Files.createDirectories(executables());
  }

  NetNs netns() {
    return lab.host();
  }

  Path networks() {
    return lab.directory().resolve("net.d");
  }

  Path executables() {
    return lab.directory().resolve("bin");
  }

  Path cache() {
    return lab.directory().resolve("cache");
  }

  Path data() {
    return lab.directory().resolve("data");
  }

  NetNs container(String name) throws IOException {
    return lab.namespace(name);
  }

  /** Addresses of a namespace beyond the host. */
  static final String OUTSIDE_V4 = "192.0.2.2";

  static final String OUTSIDE_V6 = "2001:db8::2";

  /** The host's addresses towards that namespace. */
  static final String HOST_V4 = "192.0.2.1";

  static final String HOST_V6 = "2001:db8::1";

  /** Makes a namespace that stands for the world beyond the host and has no route to containers. */
  NetNs outside() throws IOException {
    NetNs outside = lab.namespace("outside");
    Path path = Objects.requireNonNull(outside.path().getFileName());
    String peer = "ip link add up0 type veth peer name up1 netns " + path;
    Lab.run(netns(), peer.split(" ", -1));
    connect(netns(), "up0", HOST_V4, HOST_V6);
    connect(outside, "up1", OUTSIDE_V4, OUTSIDE_V6);
    return outside;
  }

  /** Answers in a namespace on a port, as long as the host exists; see {@link Echo}. */
  void serve(NetNs where, int port) throws IOException {
    servers.add(Echo.in(where, port));
  }

  /**
   * Waits until the host's link-local addresses can be used: those of a new bridge are checked for
   * duplicates for a second, in which nobody behind it can be found for packets from elsewhere.
   */
  void awaitAddresses() throws IOException, InterruptedException {
    for (int i = 0; i < 60; i++) {
      if (Lab.run(netns(), "ip", "-6", "-o", "addr", "show", "tentative").isBlank()) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError("the host still has tentative addresses");
  }

  private static void connect(NetNs where, String link, String v4, String v6) throws IOException {
    Lab.run(where, "ip", "addr", "add", v4 + "/24", "dev", link);
    Lab.run(where, "ip", "addr", "add", v6 + "/64", "dev", link, "nodad");
    Lab.run(where, "ip", "link", "set", link, "up");
  }

  /** Removes what host-local keeps of a network. */
  void forgetReservations(String network) throws IOException {
    deleteFiles(data().resolve(network));
  }

  /** Removes the results, as if the process had been killed before it kept them. */
  void dropResults() throws IOException {
    deleteFiles(cache().resolve("results"));
  }

  private static void deleteFiles(Path directory) throws IOException {
    for (String name : list(directory)) {
      Files.delete(directory.resolve(name));
    }
  }

  /** Deletes a container's namespace and makes another of the same name. */
  void recreate(NetNs container) throws IOException {
    String name = Objects.requireNonNull(container.path().getFileName()).toString();
    container.close();
    NetNs.delete(name);
    NetNs.create(name).close();
  }

  /** Configures a network; {@code @DATA@} stands for host-local's directory. */
  void network(String name, String version, String... plugins) throws IOException {
    String text =
        "{ \"cniVersion\": \"%s\", \"name\": \"%s\", \"plugins\": [ %s ] }"
            .formatted(version, name, String.join(",\n", plugins));
    Files.writeString(
        networks().resolve(name + ".conflist"), text.replace("@DATA@", data().toString()));
  }

  /** Configures a network of one bridge for both families; {@code options} end with a comma. */
  void dualStack(String name, String options) throws IOException {
    network(name, "1.0.0", DUAL_STACK.formatted(options));
  }

  /** Makes an executable plugin that is a shell script. */
  void script(String type, String body) throws IOException {
    Path file = executables().resolve(type);
    Files.writeString(file, "#!/bin/sh\n" + body);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  Cni.Builder builder() {
    return Cni.builder()
        .networks(networks())
        .executables(executables())
        .cache(cache())
        .hostNamespace(netns().path());
  }

  Cni open() {
    return builder().build();
  }

  /** Executables of the reference serve these types, modules all others. */
  Cni withReference(String... types) {
    return builder().executables(ReferencePlugins.directory()).preferExecutables(types).build();
  }

  /** The attachment of a container with the argument, in JSON, for a capability. */
  static Attachment attachment(NetNs container, String capability, String argument)
      throws CniException {
    byte[] json = "{\"of\":%s}".formatted(argument).getBytes(StandardCharsets.UTF_8);
    return attachment(container)
        .withCapabilityArgs(Map.of(capability, Json.parse(json, capability).get("of")));
  }

  static Attachment attachment(NetNs container) {
    String id = Objects.requireNonNull(container.path().getFileName()).toString();
    return Attachment.of(id, container.path(), "eth0");
  }

  /** The reservations that exist, by address. */
  List<String> reservations(String network) throws IOException {
    return list(data().resolve(network)).stream()
        .filter(name -> name.matches("[0-9a-f.:]+"))
        .sorted()
        .toList();
  }

  List<String> results() throws IOException {
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

  /** Requires that no attachment has left anything. */
  void requireNothingLeft(String network, NetNs... containers) throws IOException {
    List<String> veths = new ArrayList<>(Lab.links(netns(), "veth"));
    veths.remove("up0"); // to the outside
    assertEquals(List.of(), veths, "veths on the host");
    assertEquals(List.of(), reservations(network), "reservations");
    assertEquals(List.of(), results(), "results");
    for (NetNs container : containers) {
      assertEquals(List.of(), Lab.links(container, "veth"), "veths in " + container);
    }
  }

  @Override
  public void close() throws IOException {
    for (Echo server : servers) {
      server.close();
    }
    lab.close();
  }
}
