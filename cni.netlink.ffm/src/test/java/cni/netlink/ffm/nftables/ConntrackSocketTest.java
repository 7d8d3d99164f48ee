// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tracked connections that a filter selects are deleted, and no others. */
@KernelTest(commands = "nft")
class ConntrackSocketTest {
  private static final int PORT = 7000;
  private static final int OTHER_PORT = 7001;
  private static final int SERVER_PORT = 7100;

  private TestBed bed;
  private ConntrackSocket conntrack;

  @BeforeEach
  void open() throws IOException {
    bed = new TestBed();
    conntrack = bed.netns().call(ConntrackSocket::open);
    TestBed.run(bed.netns(), "ip", "link", "set", "lo", "up");
  }

  @AfterEach
  void close() throws IOException {
    conntrack.close();
    bed.close();
  }

  /** How the connections are selected: by the kernel if it can, or in its list. */
  enum Way {
    FILTER,
    LIST;

    void delete(ConntrackSocket conntrack, ConnectionFilter... filters) throws IOException {
      if (this == FILTER) {
        conntrack.deleteConnections(List.of(filters));
      } else {
        conntrack.deleteConnections(List.of(filters), connection -> true);
      }
    }
  }

  private static String address(TableFamily family, int last) {
    return (family == TableFamily.IP ? "127.0.0." : "fd00::") + last;
  }

  private static Bytes bytes(String address) throws IOException {
    return Bytes.of(InetAddress.getByName(address).getAddress());
  }

  /**
   * Opens connections to two ports of two addresses. That to the first port of the first address is
   * translated to another port.
   */
  private void connect(TableFamily family) throws IOException {
    String keyword = family == TableFamily.IP ? "ip" : "ip6";
    if (family == TableFamily.IP6) {
      for (int last : new int[] {1, 2}) {
        String address = address(family, last) + "/128";
        TestBed.run(bed.netns(), "ip", "address", "add", address, "dev", "lo", "nodad");
      }
    }
    TestBed.run(bed.netns(), "nft", "add table " + keyword + " t");
    TestBed.run(
        bed.netns(),
        "nft",
        "add chain " + keyword + " t c { type nat hook output priority -100; }");
    TestBed.run(
        bed.netns(),
        "nft",
        "add rule %s t c %s daddr %s udp dport %d dnat to :%d"
            .formatted(keyword, keyword, address(family, 1), PORT, SERVER_PORT));
    try (DatagramSocket socket =
        bed.netns().<DatagramSocket, IOException>call(DatagramSocket::new)) {
      for (int last : new int[] {1, 2}) {
        for (int port : new int[] {PORT, OTHER_PORT}) {
          var target = new InetSocketAddress(address(family, last), port);
          socket.send(new DatagramPacket(new byte[1], 1, target));
        }
      }
    }
  }

  /** Returns the connections, as last digit of the address and port. */
  private List<String> connections(TableFamily family) throws IOException {
    String start = family == TableFamily.IP ? "ipv4 " : "ipv6 ";
    return TestBed.run(bed.netns(), "cat", "/proc/net/nf_conntrack")
        .lines()
        .filter(line -> line.startsWith(start) && line.contains(" udp "))
        .map(line -> line.replaceFirst(".*? dst=\\S*(.) sport=\\S+ dport=(\\S+) .*", "$1 $2"))
        .sorted()
        .toList();
  }

  private static List<String> without(String... deleted) {
    return Stream.of("1 7000", "1 7001", "2 7000", "2 7001")
        .filter(Predicate.not(List.of(deleted)::contains))
        .toList();
  }

  private static ConnectionFilter toPort(TableFamily family) {
    return ConnectionFilter.toPort(family, RuleBuilder.UDP, PORT);
  }

  @ParameterizedTest
  @EnumSource
  void connectionsToAPortAreDeleted(Way way) throws IOException {
    for (TableFamily family : List.of(TableFamily.IP, TableFamily.IP6)) {
      connect(family);
      assertEquals(without(), connections(family));
    }
    way.delete(conntrack, toPort(TableFamily.IP6));
    assertEquals(without(), connections(TableFamily.IP));
    assertEquals(without("1 7000", "2 7000"), connections(TableFamily.IP6));
    way.delete(
        conntrack,
        toPort(TableFamily.IP),
        ConnectionFilter.toPort(TableFamily.IP6, RuleBuilder.UDP, OTHER_PORT));
    assertEquals(without("1 7000", "2 7000"), connections(TableFamily.IP));
    assertEquals(List.of(), connections(TableFamily.IP6));
  }

  @ParameterizedTest
  @EnumSource
  void connectionsToAnAddressAreDeleted(Way way) throws IOException {
    for (TableFamily family : List.of(TableFamily.IP, TableFamily.IP6)) {
      connect(family);
      ConnectionFilter filter =
          toPort(family).withDestination(Optional.of(bytes(address(family, 2))));
      way.delete(conntrack, filter);
      assertEquals(without("2 7000"), connections(family));
    }
  }

  @ParameterizedTest
  @EnumSource
  void connectionsThatAreTranslatedToAServerAreDeleted(Way way) throws IOException {
    for (TableFamily family : List.of(TableFamily.IP, TableFamily.IP6)) {
      connect(family);
      ConnectionFilter filter = toPort(family);
      Bytes translated = bytes(address(family, 1));
      way.delete(conntrack, filter.withServer(bytes(address(family, 2)), SERVER_PORT));
      way.delete(conntrack, filter.withServer(translated, PORT));
      assertEquals(without(), connections(family));
      way.delete(conntrack, filter.withServer(translated, SERVER_PORT));
      assertEquals(without("1 7000"), connections(family));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {RuleBuilder.TCP, RuleBuilder.SCTP})
  void connectionsOfOtherProtocolsStay(int protocol) throws IOException {
    connect(TableFamily.IP);
    conntrack.deleteConnections(List.of(ConnectionFilter.toPort(TableFamily.IP, protocol, PORT)));
    assertEquals(without(), connections(TableFamily.IP));
  }

  @Test
  void aPredicateKeepsConnections() throws IOException {
    connect(TableFamily.IP);
    conntrack.deleteConnections(
        List.of(toPort(TableFamily.IP)), connection -> connection.serverPort() == PORT);
    assertEquals(without("2 7000"), connections(TableFamily.IP));
  }

  @Test
  void noConnectionIsNoError() throws IOException {
    conntrack.deleteConnections(List.of(toPort(TableFamily.IP), toPort(TableFamily.IP6)));
    conntrack.deleteConnections(List.of(toPort(TableFamily.IP)), connection -> true);
    conntrack.deleteConnections(List.of());
    assertEquals(List.of(), connections(TableFamily.IP));
  }
}
