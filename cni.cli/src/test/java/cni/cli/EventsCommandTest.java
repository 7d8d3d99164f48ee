// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.time.Duration;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import tools.jackson.databind.JsonNode;

@KernelTest
@Isolated("captures the standard streams of the process")
class EventsCommandTest {
  private static String[] line(TestHost host, String namespace, String... options) {
    String[] all = new String[options.length + 3];
    all[0] = "events";
    all[1] = "--cache=" + host.cache();
    all[2] = "--host-netns=" + namespace;
    System.arraycopy(options, 0, all, 3, options.length);
    return all;
  }

  private static void await(CapturedCommand cni, String part) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!cni.out().contains(part)) {
      assertTrue(System.nanoTime() - end < 0, () -> "no " + part + " in " + cni.out());
      Thread.sleep(20);
    }
  }

  @Test
  void printsOperationsUntilInterrupted() throws Exception {
    try (var host = new TestHost();
        var cni = new CapturedCommand();
        var library = host.openCni()) {
      NetNs a = host.container("a");
      host.dualStack("n", "");
      host.dualStack("m", "");
      String netns = host.netns().path().toString();
      library.network("n").add(TestHost.attachment(a));
      var command = new FutureTask<>(() -> cni.run(line(host, netns, "--json", "-n", "n")));
      Thread thread = Thread.ofPlatform().start(command);
      // An update is repeated until the command watches.
      long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (!cni.out().contains("\"deleted\"")) {
        assertTrue(System.nanoTime() - end < 0, cni::err);
        library.network("n").delete(TestHost.attachment(a));
        library.network("n").add(TestHost.attachment(a));
        Thread.sleep(100);
      }
      NetNs b = host.container("b");
      library.network("m").add(TestHost.attachment(b));
      library.network("n").delete(TestHost.attachment(a));
      String container = a.path().getFileName().toString();
      library.network("n").add(TestHost.attachment(a));
      await(cni, "\"added\"");
      thread.interrupt();
      assertEquals(0, command.get(20, TimeUnit.SECONDS), cni::err);
      for (String text : cni.out().lines().toList()) {
        JsonNode event = Json.parse(text, "event");
        assertEquals("n", event.path("network").asString(), text);
        assertEquals(container, event.path("containerID").asString(), text);
        assertTrue(event.path("kind").asString().matches("added|deleted"), text);
      }
    }
  }

  @Test
  void failsIfItCannotWatch() throws Exception {
    try (var host = new TestHost();
        var cni = new CapturedCommand()) {
      assertEquals(1, cni.run(line(host, "/run/netns/no-such")));
      assertTrue(cni.err().contains("/run/netns/no-such"), cni::err);
    }
  }
}
