// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import tools.jackson.databind.JsonNode;

@KernelTest
@Isolated("captures the standard streams of the process")
class ListCommandTest {
  private static final String PORTS =
      "[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"},"
          + "{\"hostPort\":53,\"containerPort\":5353,\"protocol\":\"udp\",\"hostIP\":\"fd00::1\"}]";

  private static int list(CapturedCommand cni, TestHost host, String... options) {
    String[] all = new String[options.length + 4];
    System.arraycopy(options, 0, all, 4, options.length);
    all[0] = "list";
    all[1] = "--cache=" + host.cache();
    all[2] = "--networks=" + host.networks();
    all[3] = "--host-netns=" + host.netns().path();
    return cni.run(all);
  }

  private static void deleteInterface(NetNs container) throws Exception {
    try (RouteSocket socket = RouteSocket.open(container)) {
      socket.execute(LinkRequests.delete(socket.link("eth0").orElseThrow().index()));
    }
  }

  @Test
  void showsPortsStateAndAge() throws Exception {
    try (var host = new TestHost();
        var cni = new CapturedCommand();
        var library = host.openCni()) {
      NetNs a = host.container("a");
      NetNs b = host.container("b");
      NetNs c = host.container("c");
      host.network(
          "n",
          "1.1.0",
          TestHost.DUAL_STACK.formatted(""),
          "{\"type\": \"portmap\", \"capabilities\": {\"portMappings\": true}}");
      Instant before = Instant.now().minusSeconds(1);
      library.network("n").add(TestHost.attachment(a, "portMappings", PORTS));
      library.network("n").add(TestHost.attachment(b));
      library.network("n").add(TestHost.attachment(c));
      deleteInterface(b);
      String path = c.path().toString();
      c.close();
      NetNs.delete(c.path().getFileName().toString());

      assertEquals(0, list(cni, host), cni::err);
      List<String> lines = cni.out().lines().toList();
      assertEquals(
          List.of(
              "NETWORK", "CONTAINER", "INTERFACE", "ADDRESSES", "PORTS", "STATE", "AGE", "NETNS"),
          List.of(lines.getFirst().split(" +")));
      assertTrue(lines.get(1).contains("  8080:80/tcp [fd00::1]:53:5353/udp  ok  "), cni::out);
      assertTrue(lines.get(1).matches(".* ok +\\d+s +" + a.path()), cni::out);
      assertTrue(lines.get(2).contains("  -  ") && lines.get(2).contains("  interface gone  "));
      assertTrue(lines.get(3).matches(".*  namespace gone +\\d+s +" + path), cni::out);
      for (NetNs gone : List.of(b, c)) {
        assertEquals(1, list(cni, host, "--check", "--container-id", name(gone)), cni::out);
      }

      assertEquals(0, list(cni, host, "--json", "-n", "n", "--container-id", name(a)), cni::err);
      JsonNode json = Json.parseAny(cni.out().getBytes(UTF_8), "output");
      assertEquals(1, json.size());
      assertEquals("ok", json.path(0).path("state").asString());
      assertEquals(8080, json.path(0).path("ports").path(0).path("hostPort").asInt());
      assertEquals(2, json.path(0).path("addresses").size());
      Instant stored = Instant.parse(json.path(0).path("storedAt").asString());
      assertTrue(stored.isAfter(before) && stored.isBefore(Instant.now().plusSeconds(1)));

      assertEquals(1, list(cni, host, "-n", "other"));
      assertTrue(cni.err().startsWith("cni: no network named \"other\" in "), cni::err);
      Files.delete(host.networks().resolve("n.conflist"));
      assertEquals(0, list(cni, host, "-n", "n"), cni::err); // the cache knows it
      assertEquals(4, cni.out().lines().count());
    }
  }

  @Test
  void checkFindsDifferences() throws Exception {
    try (var host = new TestHost();
        var cni = new CapturedCommand();
        var library = host.openCni()) {
      NetNs a = host.container("a");
      host.dualStack("n", "");
      library.network("n").add(TestHost.attachment(a));
      assertEquals(0, list(cni, host, "--check"), cni::err);
      assertTrue(cni.out().contains("  ok  "), cni::out);
      try (RouteSocket socket = RouteSocket.open(a)) {
        socket.execute(LinkRequests.setDown(socket.link("eth0").orElseThrow().index()));
      }
      assertEquals(0, list(cni, host), cni::err);
      assertTrue(cni.out().contains("  ok  "), cni::out);
      assertEquals(1, list(cni, host, "--check"));
      assertTrue(cni.out().contains("  differs  "), cni::out);
      assertTrue(cni.err().startsWith("cni: n/" + name(a) + "/eth0: "), cni::err);
      assertEquals(1, list(cni, host, "--check", "--json"));
      assertTrue(cni.out().contains("\"difference\""), cni::out);
    }
  }

  private static String name(NetNs container) {
    return container.path().getFileName().toString();
  }
}
