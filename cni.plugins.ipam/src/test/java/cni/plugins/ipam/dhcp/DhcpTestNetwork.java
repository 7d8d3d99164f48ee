// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.DhcpServer;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A network with a DHCP server and two containers, for tests of the dhcp plugin. */
abstract class DhcpTestNetwork {
  static final String V4 = "--dhcp-range=192.0.2.50,192.0.2.60,255.255.255.0,10m";
  static final String V6 = "--dhcp-range=2001:db8::50,2001:db8::60,64,10m";

  TestHost host;
  NetNs a;
  NetNs b;
  NetNs outside;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    b = host.container("b");
    outside = host.outside();
    Files.createDirectories(host.ipamData());
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  void network(String options) throws IOException {
    host.network(
        "n",
        "1.1.0",
        "{\"type\":\"test-macvlan\",\"master\":\"up0\",\"ipam\":{\"type\":\"dhcp\"%s}}"
            .formatted(options));
  }

  DhcpServer dnsmasq(String... options) throws IOException, InterruptedException {
    return DhcpServer.dnsmasq(outside, "up1", host.ipamData(), options);
  }

  DhcpServer kea(boolean v6, String pool) throws IOException, InterruptedException {
    return kea(v6, pool, "0102");
  }

  DhcpServer kea(boolean v6, String pool, String identity)
      throws IOException, InterruptedException {
    return DhcpServer.kea(outside, "up1", host.ipamData(), v6, pool, identity);
  }

  static String address(Result result, int index) {
    return InetAddresses.format(result.ips().get(index).address().address());
  }

  List<String> leases() throws IOException {
    Path directory = host.cache().resolve("dhcp");
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(String::valueOf).filter(it -> it.endsWith(".lease")).toList();
    }
  }

  static void await(String what, Condition condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(25).toNanos();
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < end, what);
      Thread.sleep(100);
    }
  }

  interface Condition {
    boolean holds() throws Exception;
  }

  boolean hasAddress(String address) throws IOException {
    return TestBed.run(a, "ip", "addr", "show", "eth0").contains(address + "/");
  }

  String leaseFile() throws IOException {
    return Files.readString(Path.of(leases().getFirst()));
  }

  String obtained() throws IOException {
    return leaseFile().replaceAll("(?s).*\"obtained\":(\\d+).*", "$1");
  }

  /** Waits until the lease has been renewed this number of times. */
  void awaitRenewals(int times) throws Exception {
    for (int i = 0; i < times; i++) {
      String before = obtained();
      await("the lease is not renewed: " + leaseFile(), () -> !obtained().equals(before));
    }
  }

  void network(boolean v6) throws IOException {
    network(v6 ? ", \"families\": [\"ipv6\"]" : "");
  }

  static String pool(boolean v6) {
    return v6 ? "2001:db8::50-2001:db8::60" : "192.0.2.50 - 192.0.2.60";
  }
}
