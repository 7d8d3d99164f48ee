// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Tests that a deleted link is gone when the deletion returns, and that nothing else stays. */
@KernelTest
class LinkDeletionTest {
  private static final int LOOPBACK_INDEX = 1;
  private static final int CONCURRENT = 100;
  private static final String HOST_END = "veth0";
  private static final String CONTAINER_END = "eth0";

  /** Workers end after ten seconds without work. */
  private static final int MAX_SECONDS = 30;

  private final TestBed bed;
  private final NetNs container;

  LinkDeletionTest(TestBed bed) throws IOException {
    this.bed = bed;
    this.container = bed.namespace("container");
  }

  private CallContext context() {
    return new CallContext(
        Optional.of(bed.netns().path()),
        Deadline.none(),
        type -> {
          throw new CniException(ErrorCode.INTERNAL, type);
        });
  }

  private NetNsSession openHost() throws CniException {
    return NetNsSession.openHost(context());
  }

  private NetNsSession openContainer(NetNsSession host) throws CniException {
    String config = "{ \"cniVersion\": \"1.1.0\", \"name\": \"n\", \"type\": \"x\" }";
    return NetNsSession.openContainer(
        new AttachmentRequest(
            PluginConfig.of(new ConfigObject(Json.parse(config, "test"), "")),
            Attachment.of("c", container.path(), CONTAINER_END),
            Optional.empty(),
            context()),
        host);
  }

  private int connect() throws IOException {
    TestBed.connect(bed.netns(), HOST_END, container, CONTAINER_END);
    return indexOf(container, CONTAINER_END);
  }

  private static int indexOf(NetNs netns, String name) throws IOException {
    try (RouteSocket routes = RouteSocket.open(netns)) {
      return routes.links(name).getFirst().index();
    }
  }

  private void assertNoVeths() throws IOException {
    for (NetNs netns : List.of(bed.netns(), container)) {
      String links = TestBed.run(netns, "ip", "-j", "link");
      assertFalse(links.contains(HOST_END) || links.contains(CONTAINER_END), links);
    }
  }

  private static List<Thread> workers() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(it -> it.getName().startsWith("cni-link-deletion-"))
        .toList();
  }

  /** Whether a worker waits for the kernel's answer to a request of this class's tests. */
  private static boolean hasPendingRequest() {
    return workers().stream()
        .flatMap(it -> Stream.of(it.getStackTrace()))
        .anyMatch(frame -> frame.getMethodName().equals("sendto"));
  }

  private static void await(String what, BooleanSupplier condition) throws InterruptedException {
    for (int i = 0; i < 20 * MAX_SECONDS && !condition.getAsBoolean(); i++) {
      Thread.sleep(50);
    }
    assertTrue(condition.getAsBoolean(), what);
  }

  private static long descriptors() {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void bothEndsOfAVethAreGoneAndTheirNamesAreFree() throws Exception {
    try (NetNsSession host = openHost();
        NetNsSession inside = openContainer(host)) {
      for (int i = 0; i < 50; i++) {
        assertTrue(inside.deleteLink(connect()), "deletion " + i);
      }
      int end = connect();
      assertTrue(inside.deleteLink(end));
      assertNoVeths();
      assertFalse(inside.deleteLink(end), "it is gone already");
      connect();
      assertTrue(host.deleteLink(indexOf(bed.netns(), HOST_END)));
      assertNoVeths();
    }
  }

  @Test
  void returnsBeforeTheKernelAnswers() throws Exception {
    boolean pending = false;
    try (NetNsSession host = openHost();
        NetNsSession inside = openContainer(host)) {
      for (int i = 0; i < 100 && !pending; i++) {
        assertTrue(inside.deleteLink(connect()));
        pending = hasPendingRequest();
      }
    }
    assertTrue(pending, "each of the deletions waited for the acknowledgement");
  }

  @Test
  void refusalsOfTheKernelAreReported() throws Exception {
    try (NetNsSession host = openHost()) {
      var refusal = assertThrows(NetlinkException.class, () -> host.deleteLink(LOOPBACK_INDEX));
      assertTrue(refusal.is(Errno.EOPNOTSUPP), refusal.toString());
      assertFalse(host.deleteLink(1_000_000), "there is no such link");
    }
    assertTrue(TestBed.run(bed.netns(), "ip", "-j", "link").contains("\"lo\""));
  }

  @Test
  void anInterruptDoesNotLeaveTheLink() throws Exception {
    int end = connect();
    try (NetNsSession host = openHost();
        NetNsSession inside = openContainer(host)) {
      Thread.currentThread().interrupt();
      boolean deleted = inside.deleteLink(end);
      assertTrue(Thread.interrupted(), "the interrupt is pending");
      assertTrue(deleted);
    }
    assertNoVeths();
  }

  @Test
  void theContainersNamespaceCanBeDeletedAtOnce() throws Exception {
    int end = connect();
    TestBed.connect(bed.netns(), "other0", container, "other1");
    try (NetNsSession host = openHost();
        NetNsSession inside = openContainer(host)) {
      assertTrue(inside.deleteLink(end));
    }
    bed.delete(container);
    // The kernel deletes the other pair once nothing refers to the namespace any more.
    await("the namespace is still in use", () -> !vethsOfHost().contains("other0"));
  }

  private List<String> vethsOfHost() {
    try {
      return TestBed.linkNames(bed.netns(), "veth");
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void concurrentDeletionsLeaveNoThreadsAndDescriptors() throws Exception {
    List<Integer> links = new ArrayList<>();
    try (RouteSocket routes = RouteSocket.open(bed.netns())) {
      for (int i = 0; i < CONCURRENT; i++) {
        String name = "first" + i;
        routes.execute(LinkSpec.veth(name, LinkSpec.peer("second" + i)).up().request());
        links.add(routes.links(name).getFirst().index());
      }
    }
    long before = descriptors();
    var start = new CyclicBarrier(CONCURRENT);
    try (ExecutorService executor = Executors.newFixedThreadPool(CONCURRENT)) {
      List<Future<Boolean>> deletions = new ArrayList<>();
      for (int link : links) {
        deletions.add(
            executor.submit(
                () -> {
                  start.await();
                  try (NetNsSession host = openHost()) {
                    return host.deleteLink(link);
                  }
                }));
      }
      for (Future<Boolean> deletion : deletions) {
        assertTrue(deletion.get());
      }
    }
    assertEquals(List.of(), vethsOfHost());
    await("workers remain", () -> workers().isEmpty());
    await("descriptors: " + before + " before", () -> descriptors() <= before);
  }
}
