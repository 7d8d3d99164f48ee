// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Cidr;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** A network that {@code cni init} has written, in use. */
@KernelTest
@Isolated("captures the standard streams of the process")
class InitializedNetworkTest {
  private static String[] line(TestHost host, String... words) {
    String[] options = {
      "--networks=" + host.networks(),
      "--cache=" + host.cache(),
      "--host-netns=" + host.netns().path()
    };
    String[] all = new String[words.length + options.length];
    System.arraycopy(words, 0, all, 0, words.length);
    System.arraycopy(options, 0, all, words.length, options.length);
    return all;
  }

  /** Moves the state of plugins, which is that of the machine otherwise. */
  static void useDirectories(TestHost host, Path file) throws Exception {
    ObjectNode config = Json.parse(Files.readAllBytes(file), "config");
    for (JsonNode plugin : config.path("plugins")) {
      if (plugin.get("ipam") instanceof ObjectNode ipam) {
        ipam.put("dataDir", host.ipamData().toString());
      } else if (plugin.path("type").asString().equals("tuning")) {
        ((ObjectNode) plugin).put("dataDir", host.directory().resolve("tuning").toString());
      }
    }
    Files.writeString(file, Json.pretty(config));
  }

  @Test
  void containerIsReachedByAPublishedPortOverBothIpVersions() throws Exception {
    try (var host = new TestHost();
        var cni = new CapturedCommand()) {
      NetNs outside = host.outside();
      NetNs container = host.container("a");
      assertEquals(0, cni.run(line(host, "init", "n")), cni::err);
      Path file = host.networks().resolve("10-n.conflist");
      useDirectories(host, file);
      assertEquals(0, cni.run("validate", file.toString()), cni::err);
      assertEquals(0, cni.run(line(host, "status", "n")), cni::err);
      String ports = "{\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80}]}";
      String path = container.path().toString();
      assertEquals(0, cni.run(line(host, "add", "n", path, "--capability-args", ports)), cni::err);
      host.awaitAddresses();
      host.serve(container, 80);
      assertTrue(Probe.tcp(outside, TestHost.HOST_V4, 8080).isPresent());
      assertTrue(Probe.tcp(outside, TestHost.HOST_V6, 8080).isPresent());
      assertEquals(0, cni.run(line(host, "check", "n", path)), cni::err);
      assertEquals(0, cni.run(line(host, "del", "n", path)), cni::err);
      host.assertNothingLeft("n", container);
    }
  }

  @Test
  void subnetsOfTheHostAreAvoided() throws Exception {
    try (var host = new TestHost();
        var cni = new CapturedCommand()) {
      NetNs _ = host.outside();
      try (RouteSocket socket = RouteSocket.open(host.netns())) {
        assertFalse(socket.addresses().isEmpty());
      }
      assertEquals(2, cni.run(line(host, "init", "n", "--subnet=192.0.2.128/25")));
      assertTrue(cni.err().contains("overlaps 192.0.2."), cni::err);
      assertEquals(0, cni.run(line(host, "init", "n", "--subnet=192.0.3.0/24")), cni::err);
      String text = Files.readString(host.networks().resolve("10-n.conflist"));
      assertTrue(text.contains(Cidr.parse("192.0.3.0/24").toString()), text);
    }
  }
}
