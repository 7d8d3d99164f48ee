// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.PluginEvent;
import cni.api.PluginEvent.Kind;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.Subscription;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.node.IntNode;

/** The events about attachments that are published between operations. */
@KernelTest(reference = true)
class AttachmentEventsTest {
  private final BlockingQueue<PluginEvent> events = new LinkedBlockingQueue<>();
  private final TestHost host;
  private final NetNs a;
  private final Cni cni;

  AttachmentEventsTest(TestHost host) throws IOException, CniException {
    this.host = host;
    a = host.container("a");
    host.dualStack("n", "");
    cni = host.builder().build();
  }

  @AfterEach
  void close() {
    cni.close();
  }

  private void assertNext(Kind kind, String words) throws InterruptedException {
    PluginEvent event = events.poll(10, TimeUnit.SECONDS);
    assertTrue(event != null, "no event with: " + words);
    assertEquals(kind, event.kind(), event::message);
    assertTrue(event.message().contains(words), event::message);
    assertEquals("n", event.network());
    assertEquals(attachment(a).id(), event.attachment().orElseThrow());
  }

  /** Records an event unless it is of an operation. */
  private void recordChange(PluginEvent event) {
    if (!Set.of(Kind.ADDED, Kind.UPDATED, Kind.DELETED).contains(event.kind())) {
      events.add(event);
    }
  }

  private void assertNothing() throws InterruptedException {
    PluginEvent event = events.poll(2500, TimeUnit.MILLISECONDS);
    assertTrue(event == null, () -> String.valueOf(event));
  }

  @Test
  void interfaceAndAddressChangesAreReported() throws Exception {
    try (Subscription _ = cni.onEvent(this::recordChange)) {
      cni.network("n").add(attachment(a));
      assertNothing();
      TestBed.run(a, "ip", "link", "set", "eth0", "down");
      assertNext(Kind.INTERFACE_DOWN, "interface eth0 in " + a.path());
      assertNext(Kind.INTERFACE_DOWN, "on the host"); // the port has no carrier
      TestBed.run(a, "ip", "link", "set", "eth0", "up");
      assertNext(Kind.INTERFACE_UP, "eth0");
      assertNext(Kind.INTERFACE_UP, "on the host");
      TestBed.run(a, "ip", "addr", "del", "10.50.0.2/24", "dev", "eth0");
      assertNext(Kind.ADDRESS_GONE, "address 10.50.0.2/24 of eth0");
      TestBed.run(a, "ip", "link", "del", "eth0");
      assertNext(Kind.INTERFACE_GONE, "eth0");
      assertNext(Kind.INTERFACE_GONE, "on the host");
      assertNothing();
    }
  }

  @Test
  void deleteIsNotReported() throws Exception {
    cni.network("n").add(attachment(a));
    try (Subscription _ = cni.onEvent(this::recordChange)) {
      cni.network("n").delete(attachment(a));
      assertNothing();
    }
  }

  @Test
  void attachmentsOfExecutablesAreWatched() throws Exception {
    try (Subscription _ = cni.onEvent(this::recordChange)) {
      try (Cni other = host.withReference("bridge", "host-local")) {
        other.network("n").add(attachment(a));
      }
      TestBed.run(a, "ip", "link", "del", "eth0");
      PluginEvent event = events.poll(10, TimeUnit.SECONDS);
      assertTrue(event != null && event.kind() == Kind.INTERFACE_GONE, () -> event + "");
    }
  }

  @Test
  void deletedNamespaceReportsInterfacesGone() throws Exception {
    try (Subscription _ = cni.onEvent(this::recordChange)) {
      cni.network("n").add(attachment(a));
      TestBed.run(host.netns(), "ip", "netns", "del", String.valueOf(a.path().getFileName()));
      a.close();
      assertNext(Kind.INTERFACE_GONE, "eth0");
      assertNext(Kind.INTERFACE_GONE, "on the host");
    }
  }

  @Test
  void duplicateAddressIsReportedAsConflict() throws Exception {
    NetNs b = host.container("b");
    cni.network("n").add(attachment(b));
    cni.network("n").add(attachment(a));
    try (Subscription _ = cni.onEvent(this::recordChange)) {
      String address = "fd50::3/64"; // of container a; duplicate address detection finds it on b
      TestBed.run(b, "ip", "addr", "add", address, "dev", "eth0", "nodad");
      TestBed.run(a, "sysctl", "-q", "-w", "net.ipv6.conf.eth0.accept_dad=1");
      TestBed.run(a, "ip", "addr", "del", address, "dev", "eth0");
      TestBed.run(a, "ip", "addr", "add", address, "dev", "eth0");
      assertNext(Kind.ADDRESS_CONFLICT, address);
    }
  }

  @Test
  void operationsOfAllInstancesAreReported() throws Exception {
    NetNs b = host.container("b");
    cni.network("n").add(attachment(b)); // before the subscription
    try (Subscription subscription = cni.onEvent(events::add);
        Cni other = host.withReference("bridge", "host-local")) {
      assertEquals(List.of(), subscription.failures());
      other.network("n").add(attachment(a));
      assertNext(Kind.ADDED, "the attachment was added: 10.50.0.3/24 fd50::3/64 in " + a.path());
      cni.network("n")
          .update(
              attachment(a).id(),
              AttachmentUpdate.NONE.withKey("bridge", "mtu", IntNode.valueOf(1400)));
      assertNext(Kind.UPDATED, "the configuration or its arguments have changed: 10.50.0.3/24");
      other.network("n").delete(attachment(a));
      assertNext(Kind.DELETED, "the attachment was deleted");
      cni.network("n").delete(attachment(b));
      PluginEvent event = events.poll(10, TimeUnit.SECONDS);
      assertTrue(event != null && event.kind() == Kind.DELETED, () -> event + "");
      assertEquals(attachment(b).id(), event.attachment().orElseThrow());
      assertNothing();
    }
  }

  @Test
  void replacedCacheIsComparedAndTheGapReported() throws Exception {
    try (Subscription _ = cni.onEvent(events::add)) {
      cni.network("n").add(attachment(a));
      assertNext(Kind.ADDED, "10.50.0.2/24");
      Path results = host.cache().resolve("results");
      Files.move(results, results.resolveSibling("moved"));
      assertNext(Kind.DELETED, "the attachment was deleted");
      PluginEvent lost = events.poll(10, TimeUnit.SECONDS);
      assertTrue(lost != null && lost.kind() == Kind.EVENTS_LOST, () -> lost + "");
      assertTrue(lost.message().contains(results.toString()), lost::message);
      cni.network("n").delete(attachment(a));
      cni.network("n").add(attachment(a));
      assertNext(Kind.ADDED, "10.50.0.3/24");
    }
  }

  @Test
  void sourcesThatCannotBeOpenedAreReported() throws Exception {
    try (Cni deaf = host.builder().hostNamespace(Path.of("/run/netns/no-such")).build();
        Subscription subscription = deaf.onEvent(events::add)) {
      assertEquals(2, subscription.failures().size()); // of links and of address conflicts
      PluginEvent lost = events.poll(10, TimeUnit.SECONDS);
      assertTrue(lost != null && lost.kind() == Kind.EVENTS_LOST, () -> lost + "");
      assertTrue(lost.message().contains("/run/netns/no-such"), lost::message);
    }
  }

  @Test
  void exhaustedRangeIsReported() throws Exception {
    host.network(
        "n",
        "1.1.0",
        """
        { "type": "bridge", "bridge": "br0",
          "ipam": { "type": "host-local", "dataDir": "@DATA@", "subnet": "10.50.0.0/30",
                    "rangeStart": "10.50.0.2", "rangeEnd": "10.50.0.2" } }
        """);
    cni.network("n").add(attachment(host.container("b")));
    try (Subscription _ = cni.onEvent(this::recordChange)) {
      assertThrows(CniException.class, () -> cni.network("n").add(attachment(a)));
      assertNext(Kind.RESOURCE_EXHAUSTED, "no address is free");
    }
  }
}
