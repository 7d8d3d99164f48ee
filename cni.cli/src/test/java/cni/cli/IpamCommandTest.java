// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AddressReport;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.ClusterAddressRegistry;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.Result;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** {@code cni ipam} with host-local, and with a plugin for a cluster that only records calls. */
class IpamCommandTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final FakeCluster cluster = new FakeCluster();

  @TempDir private Path directory;

  /** The ipam plugin of type {@code shared}. */
  private static final class FakeCluster implements ClusterAddressRegistry {
    private final List<String> calls = new ArrayList<>();

    @Override
    public String type() {
      return "shared";
    }

    @Override
    public Result add(AttachmentRequest request) {
      return Result.EMPTY;
    }

    @Override
    public void check(AttachmentRequest request) {}

    @Override
    public void delete(AttachmentRequest request) {}

    private static AddressReport.Holder holder(
        String container, Optional<String> name, Optional<String> node, String address) {
      return new AddressReport.Holder(
          Optional.of(container)
              .filter(it -> !it.isEmpty())
              .map(it -> new AttachmentId(it, "eth0")),
          name,
          node,
          List.of(InetAddress.ofLiteral(address)),
          Optional.of(Instant.now().minus(Duration.ofDays(3))));
    }

    @Override
    public AddressReport report(NetworkRequest request) {
      return new AddressReport(
          List.of(
              new AddressReport.Pool(
                  "10.2.0.1-10.2.0.254", BigInteger.valueOf(253), BigInteger.TWO),
              new AddressReport.Pool(
                  "fd02::1-fd02::ffff:ffff:ffff:ffff", BigInteger.TWO.pow(64), BigInteger.ZERO)),
          List.of(
              new AddressReport.Block(Cidr.parse("10.2.0.64/26"), "b", 64, 64),
              new AddressReport.Block(Cidr.parse("10.2.0.0/26"), "a", 62, 1)),
          List.of(
              new AddressReport.Node("a", AddressReport.Liveness.ALIVE),
              new AddressReport.Node("b", AddressReport.Liveness.LOST)),
          List.of(
              holder("c1", Optional.empty(), Optional.of("a"), "10.2.0.2"),
              holder("", Optional.of("db-0"), Optional.empty(), "10.2.0.3")),
          List.of("block 10.2.0.64/26 of b is full"));
    }

    @Override
    public int importReservations(NetworkRequest request, Path from) {
      calls.add("import " + from);
      return 1;
    }

    @Override
    public int releaseNode(NetworkRequest request, String node, boolean force) throws CniException {
      calls.add("release " + node + " " + force);
      if (!force) {
        throw new CniException(ErrorCode.INVALID_PARAMETER, "no node has the name " + node);
      }
      return 2;
    }

    @Override
    public boolean resume(NetworkRequest request, boolean force) throws CniException {
      calls.add("resume " + force);
      if (!force) {
        throw new CniException(ErrorCode.INVALID_PARAMETER, "nodes have not recorded: b");
      }
      return calls.size() == 2;
    }
  }

  @BeforeEach
  void writeNetworks() throws IOException {
    Files.createDirectory(directory.resolve("net.d"));
    network(
        "local",
        "\"ipam\": {\"type\": \"host-local\", \"dataDir\": \"%s\", \"subnet\": \"10.1.0.0/29\"}"
            .formatted(directory.resolve("data")));
    network("plain", "\"mtu\": 1400");
  }

  private void network(String name, String keys) throws IOException {
    Files.writeString(
        directory.resolve("net.d").resolve(name + ".conflist"),
        """
        { "cniVersion": "1.1.0", "name": "%s", "plugins": [ { "type": "bridge", %s } ] }
        """
            .formatted(name, keys));
  }

  private void clusterNetwork(String name) throws IOException {
    network(name, "\"ipam\": {\"type\": \"shared\"}");
  }

  private void reserve(String address, String content) throws IOException {
    Path reservations = Files.createDirectories(directory.resolve("data/local"));
    Path file = Files.writeString(reservations.resolve(address), content);
    Files.setLastModifiedTime(file, FileTime.from(Instant.now().minus(Duration.ofMinutes(5))));
  }

  private int ipam(String command, String... arguments) throws Exception {
    out.reset();
    err.reset();
    List<String> all = new ArrayList<>(List.of("ipam", command));
    all.addAll(List.of("--networks=net.d", "--cache=cache", "--path=bin", "--modules="));
    all.addAll(List.of(arguments));
    var invocation =
        new Invocation(
            Map.of(),
            directory,
            new PrintStream(out, true, UTF_8),
            new PrintStream(err, true, UTF_8),
            Optional.empty(),
            builder -> builder.plugins(cluster).oneShot().build());
    return invocation.call(() -> Main.execute(all.toArray(String[]::new)));
  }

  private String output() {
    return out.toString(UTF_8);
  }

  private String errors() {
    return err.toString(UTF_8);
  }

  private void assertError(int code, String expected) throws CniException {
    assertTrue(errors().startsWith("cni: " + expected), this::errors);
    assertEquals(code, Json.parse(output(), "standard output").path("code").asInt());
  }

  private static String lines(String... lines) {
    return String.join("\n", lines) + "\n";
  }

  @Test
  void showsThePoolAndTheHoldersOfHostLocal() throws Exception {
    reserve("10.1.0.2", "c1\r\neth0");
    reserve("10.1.0.3", "c2\r\neth1");
    assertEquals(0, ipam("show", "local"), this::errors);
    assertEquals(
        lines(
            "network local, plugin host-local",
            "",
            "POOL               SIZE  USED  FREE  FILL",
            "10.1.0.1-10.1.0.6     5     2     3  40 %",
            "",
            "CONTAINER  INTERFACE  ADDRESSES  AGE",
            "c1         eth0       10.1.0.2   5m",
            "c2         eth1       10.1.0.3   5m"),
        output());
    assertEquals("", errors());
  }

  @Test
  void textOfInvalidFilesCannotControlTheTerminal() throws Exception {
    reserve("10.1.0.2", "\u001b[2Jx");
    assertEquals(0, ipam("show", "local"), this::errors);
    assertTrue(output().endsWith("-          -          10.1.0.2   5m   ?[2Jx\n"), this::output);
    assertEquals(
        "cni: local: files name no attachment: 10.1.0.2; GC releases the addresses\n", errors());
  }

  @Test
  void showsBlocksAndNodesOfACluster() throws Exception {
    clusterNetwork("shared-net");
    assertEquals(0, ipam("show", "shared-net"), this::errors);
    assertEquals(
        lines(
            "network shared-net, plugin shared",
            "",
            "POOL                               SIZE  USED  FREE  FILL",
            "10.2.0.1-10.2.0.254                 253     2   251   0 %",
            "fd02::1-fd02::ffff:ffff:ffff:ffff   18E     0   18E   0 %",
            "",
            "BLOCK         NODE  SIZE  USED  FREE   FILL",
            "10.2.0.0/26   a       62     1    61    1 %",
            "10.2.0.64/26  b       64    64     0  100 %",
            "",
            "NODE  STATE  BLOCKS  ATTACHMENTS",
            "a     alive       1            1",
            "b     lost        1            0",
            "",
            "CONTAINER  INTERFACE  ADDRESSES  AGE  NAME  NODE",
            "c1         eth0       10.2.0.2   3d   -     a",
            "-          -          10.2.0.3   3d   db-0  -"),
        output());
    assertEquals("cni: shared-net: block 10.2.0.64/26 of b is full\n", errors());
  }

  @Test
  void withoutNetworkShowsAllThatCanBeListed() throws Exception {
    clusterNetwork("shared-net");
    assertEquals(0, ipam("show"), this::errors);
    assertEquals(
        List.of("network local, plugin host-local", "network shared-net, plugin shared"),
        output().lines().filter(it -> it.startsWith("network ")).toList());
    network("broken", "\"ipam\": {\"type\": \"missing\"}");
    assertEquals(1, ipam("show"));
    assertEquals(2, output().lines().filter(it -> it.startsWith("network ")).count());
    assertTrue(
        errors().contains("cni: network broken: plugin type \"missing\" is not known"),
        this::errors);
  }

  @Test
  void jsonHasTheSameContent() throws Exception {
    clusterNetwork("shared-net");
    network("broken", "\"ipam\": {\"type\": \"missing\"}");
    reserve("10.1.0.2", "c1\r\neth0");
    assertEquals(1, ipam("show", "--json"));
    JsonNode json = Json.parseAny(out.toByteArray(), "standard output");
    assertEquals(3, json.size());
    JsonNode local = json.path(0);
    assertEquals("local", local.path("network").asString());
    assertEquals("host-local", local.path("plugin").asString());
    assertEquals(
        "[{\"ranges\":\"10.1.0.1-10.1.0.6\",\"size\":5,\"used\":1,\"free\":4}]",
        local.path("pools").toString());
    JsonNode holder = local.path("holders").path(0);
    assertEquals("c1", holder.path("containerId").asString());
    assertEquals("eth0", holder.path("ifName").asString());
    assertEquals("[\"10.1.0.2\"]", holder.path("addresses").toString());
    assertTrue(Instant.parse(holder.path("since").asString()).isBefore(Instant.now()));
    JsonNode shared = json.path(1);
    assertEquals(
        "{\"block\":\"10.2.0.64/26\",\"node\":\"b\",\"size\":64,\"used\":64,\"free\":0}",
        shared.path("blocks").path(0).toString());
    assertEquals("{\"name\":\"b\",\"state\":\"lost\"}", shared.path("nodes").path(1).toString());
    assertEquals("db-0", shared.path("holders").path(1).path("name").asString());
    assertEquals(
        BigInteger.TWO.pow(64), shared.path("pools").path(1).path("size").bigIntegerValue());
    assertEquals("[\"block 10.2.0.64/26 of b is full\"]", shared.path("problems").toString());
    assertEquals("broken", json.path(2).path("network").asString());
    assertEquals(7, json.path(2).path("error").path("code").asInt());
  }

  @Test
  void networkThatCannotBeListedIsAnErrorIfItIsNamed() throws Exception {
    assertEquals(1, ipam("show", "plain"));
    assertError(
        7, directory.resolve("net.d/plain.conflist") + ": network plain has no ipam plugin: ");
    assertEquals(1, ipam("show", "other"));
    assertError(7, "no network named \"other\" in ");
  }

  @Test
  void importPassesTheAbsoluteDirectory() throws Exception {
    clusterNetwork("shared-net");
    assertEquals(0, ipam("import", "data/local", "shared-net"), this::errors);
    Path from = directory.resolve("data/local");
    assertEquals("shared-net: addresses of 1 attachment imported from " + from + "\n", output());
    assertEquals(List.of("import " + from), cluster.calls);
    assertEquals(1, ipam("import", "data/local", "local"));
    assertError(
        7,
        directory.resolve("net.d/local.conflist")
            + ": the addresses of network local belong to this host alone: ");
  }

  @Test
  void releaseNodeUsesTheOnlyNetworkOfACluster() throws Exception {
    assertEquals(1, ipam("release-node", "b", "--force"));
    assertError(7, "no network in " + directory.resolve("net.d") + " has an ipam plugin for a");
    clusterNetwork("shared-net");
    assertEquals(0, ipam("release-node", "b", "--force"), this::errors);
    assertEquals("b: addresses of 2 attachments released\n", output());
    assertEquals(List.of("release b true"), cluster.calls);
    network("broken", "\"ipam\": {\"type\": \"missing\"}");
    assertEquals(0, ipam("release-node", "b", "--force"), this::errors);

    clusterNetwork("second");
    assertEquals(2, ipam("release-node", "b", "--force"));
    assertEquals(
        """
        cni: name a network of the store that has the node, as in "cni ipam release-node b second":\
         several have an ipam plugin for a cluster: second, shared-net
        See "cni ipam release-node --help".
        """,
        errors());
    assertEquals(0, ipam("release-node", "b", "second", "--force"), this::errors);
  }

  @Test
  void networkWithAMissingPluginMayBeTheOne() throws Exception {
    network("broken", "\"ipam\": {\"type\": \"missing\"}");
    assertEquals(1, ipam("release-node", "b"));
    assertError(7, "network broken: plugin type \"missing\" is not known");
  }

  /** Only the plugin knows whether {@code --force} would help: not for an unknown node. */
  @Test
  void refusalsOfThePluginArePrintedAsTheyAre() throws Exception {
    clusterNetwork("shared-net");
    assertEquals(1, ipam("release-node", "b"));
    assertError(
        4, "network shared-net, release of a node by shared: no node has the name b (code 4)");
    assertEquals(1, ipam("resume", "shared-net"));
    assertError(4, "network shared-net, resumption by shared: nodes have not recorded: b (code 4)");
  }

  @Test
  void resumeSaysWhetherThereWasSomethingToResume() throws Exception {
    clusterNetwork("shared-net");
    cluster.calls.add("before");
    assertEquals(0, ipam("resume", "shared-net", "--force"), this::errors);
    assertEquals("shared-net: addresses are assigned again\n", output());
    assertEquals(0, ipam("resume", "shared-net", "--force"), this::errors);
    assertEquals("shared-net: nothing to resume: addresses are being assigned\n", output());
    assertEquals(1, ipam("resume", "local"));
    assertTrue(errors().contains("belong to this host alone"), this::errors);
  }
}
