// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Network;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * CNI_NETNS with a path at which there is no network namespace: DEL and GC clean up what is on the
 * host, ADD and CHECK fail.
 */
@KernelTest
class PathWithoutNamespaceTest {
  private static final String IPAM =
      """
      "ipam": { "type": "host-local", "dataDir": "@DATA@",
                "ranges": [[{ "subnet": "10.67.0.0/24" }], [{ "subnet": "fd67::/64" }]] }
      """;

  private static final String PORT =
      "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }]";

  /** The chains, with every plugin that reads the container's namespace on DEL. */
  private static final List<List<String>> CHAINS =
      List.of(
          List.of(
              "{ \"type\": \"loopback\" }",
              "{ \"type\": \"bridge\", \"bridge\": \"br0\", \"isGateway\": true, \"ipMasq\": true,"
                  + " \"ipMasqBackend\": \"nftables\", \"macspoofchk\": true, "
                  + IPAM
                  + "}",
              "{ \"type\": \"portmap\", \"backend\": \"nftables\","
                  + " \"capabilities\": { \"portMappings\": true } }",
              "{ \"type\": \"firewall\", \"backend\": \"iptables\" }",
              "{ \"type\": \"tuning\", \"mtu\": 1400, \"dataDir\": \"@DATA@/tuning\" }",
              "{ \"type\": \"bandwidth\", \"ingressRate\": 1000000, \"ingressBurst\": 1000000 }",
              "{ \"type\": \"sbr\" }"),
          List.of(
              "{ \"type\": \"ptp\", \"ipMasq\": true, \"ipMasqBackend\": \"nftables\", "
                  + IPAM
                  + "}"),
          List.of("{ \"type\": \"macvlan\", \"master\": \"up0\", " + IPAM + "}"),
          List.of("{ \"type\": \"tap\", " + IPAM + "}"),
          List.of("{ \"type\": \"host-device\", \"device\": \"up0\", " + IPAM + "}"));

  /** What is at the path. */
  enum Kind {
    SOCKET,
    DIRECTORY,
    FIFO,
    FILE,
    LINK_LOOP,
    BELOW_A_FILE,
    LONG_NAME,
    OTHER_NAMESPACE
  }

  private final TestHost host;
  private final NetNs a;

  PathWithoutNamespaceTest(TestHost host) throws IOException {
    this.host = host;
    a = host.container("a");
    host.outside();
  }

  static Stream<Arguments> chainsAndKinds() {
    return CHAINS.stream().flatMap(chain -> Stream.of(Kind.values()).map(it -> args(chain, it)));
  }

  private static Arguments args(List<String> chain, Kind kind) {
    return Arguments.of(chain, kind);
  }

  @ParameterizedTest
  @MethodSource("chainsAndKinds")
  void deleteCleansTheHost(List<String> chain, Kind kind) throws Exception {
    host.network("n", "1.1.0", chain.toArray(String[]::new));
    Network network = host.openCni().network("n");
    network.add(withPorts(network));
    host.delete(a);
    Attachment without = at(network, create(kind));
    network.delete(without);
    network.delete(without);
    requireNothingOnHost();
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void gcCleansTheHost(Kind kind) throws Exception {
    host.network("n", "1.1.0", CHAINS.getFirst().toArray(String[]::new));
    Network network = host.openCni().network("n");
    Path path = host.directory().resolve("netns");
    Files.createSymbolicLink(path, a.path());
    Attachment attached = withPorts(network);
    network.add(
        new Attachment(
            attached.id(), Optional.of(path), attached.args(), attached.capabilityArgs()));
    host.delete(a);
    Files.delete(path);
    if (kind != Kind.LONG_NAME && kind != Kind.BELOW_A_FILE) {
      Files.move(create(kind), path);
    }
    network.gc(Set.of());
    requireNothingOnHost();
  }

  private void requireNothingOnHost() throws IOException {
    assertEquals(List.of(), host.reservations("n"));
    assertEquals(List.of(), host.results());
    List<String> veths = TestBed.linkNames(host.netns(), "veth");
    assertTrue(veths.stream().allMatch("up0"::equals), veths::toString);
    String rules = TestBed.run(host.netns(), "nft", "list", "ruleset");
    assertFalse(rules.contains("10.67.0.") || rules.contains("8080"), rules);
  }

  @ParameterizedTest
  @MethodSource("chainsAndKinds")
  void addAndCheckFail(List<String> chain, Kind kind) throws Exception {
    host.network("n", "1.1.0", chain.toArray(String[]::new));
    Network network = host.openCni().network("n");
    Path path = create(kind);
    CniException add = assertThrows(CniException.class, () -> network.add(at(network, path)));
    assertEquals(ErrorCode.INVALID_NAMESPACE.value(), add.code(), add.getMessage());
    assertTrue(String.valueOf(add.getMessage()).contains(path.toString()), add.getMessage());
    network.add(withPorts(network));
    CniException check = assertThrows(CniException.class, () -> network.check(at(network, path)));
    assertEquals(ErrorCode.INVALID_NAMESPACE.value(), check.code(), check.getMessage());
    assertTrue(String.valueOf(check.getMessage()).contains(path.toString()), check.getMessage());
  }

  private Attachment at(Network network, Path path) throws CniException {
    Attachment attached = withPorts(network);
    return new Attachment(
        attached.id(), Optional.of(path), attached.args(), attached.capabilityArgs());
  }

  private Path create(Kind kind) throws IOException {
    Path path = host.directory().resolve("no-netns");
    return switch (kind) {
      case SOCKET -> {
        var address = UnixDomainSocketAddress.of(path);
        try (var server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
          server.bind(address);
        }
        yield path;
      }
      case DIRECTORY -> Files.createDirectory(path);
      case FIFO -> {
        TestBed.run(host.netns(), "mkfifo", path.toString());
        yield path;
      }
      case FILE -> Files.createFile(path);
      case LINK_LOOP -> Files.createSymbolicLink(path, path.getFileName());
      case BELOW_A_FILE -> Files.createFile(path).resolve("netns");
      case LONG_NAME -> path.resolveSibling("n".repeat(300));
      case OTHER_NAMESPACE -> Files.createSymbolicLink(path, Path.of("/proc/self/ns/uts"));
    };
  }

  /** Returns the attachment, with a published port if the network's plugins take it. */
  private Attachment withPorts(Network network) throws CniException {
    var args = CapabilityArgs.of(attachment(a, "portMappings", PORT).capabilityArgs());
    return attachment(a).withCapabilityArgs(args.only(network.capabilities().names()));
  }
}
