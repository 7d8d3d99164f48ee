// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class EtcdFailoverTest {
  private static final int CALLS = 12;

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(3);

  @TempDir private Path directory;

  @AfterEach
  void repair() throws Exception {
    for (EtcdMember it : etcd.cluster().members()) {
      if (!it.isRunning()) {
        it.start();
      } else if (!it.isActive()) {
        it.resume();
      }
    }
    etcd.cluster().awaitHealthy();
  }

  private TestNode node(List<String> endpoints) {
    return TestNode.of("a", endpoints, directory);
  }

  /** Adds and deletes containers by single calls, each of which begins with a random endpoint. */
  private void requireCallsWithin(Duration limit, List<String> endpoints) throws Exception {
    Duration longest = Duration.ZERO;
    for (int i = 0; i < CALLS; i++) {
      long start = System.nanoTime();
      node(endpoints).add("c" + i);
      node(endpoints).delete("c" + i);
      Duration time = Duration.ofNanos(System.nanoTime() - start).dividedBy(2);
      longest = time.compareTo(longest) > 0 ? time : longest;
    }
    Duration measured = longest;
    assertTrue(measured.compareTo(limit) < 0, measured::toString);
  }

  @Test
  void deadMemberCostsLittle() throws Exception {
    EtcdMember leader = etcd.cluster().leader();
    etcd.cluster().members().stream().filter(it -> it != leader).findFirst().orElseThrow().kill();
    etcd.cluster().awaitHealthy();
    requireCallsWithin(Duration.ofSeconds(2), etcd.endpoints());
  }

  @Test
  void frozenMemberCostsOneAttempt() throws Exception {
    EtcdMember leader = etcd.cluster().leader();
    etcd.cluster().members().stream().filter(it -> it != leader).findFirst().orElseThrow().pause();
    // One attempt takes a third of the timeout of 10 s.
    requireCallsWithin(Duration.ofSeconds(6), etcd.endpoints());
  }

  @Test
  void electionIsWaitedFor() throws Exception {
    etcd.cluster().leader().kill();
    node(etcd.endpoints()).add("killed");
    node(etcd.endpoints()).delete("killed");
  }

  @Test
  void frozenLeaderIsReplaced() throws Exception {
    etcd.cluster().leader().pause();
    node(etcd.endpoints()).add("frozen");
    node(etcd.endpoints()).delete("frozen");
  }

  @Test
  void serversThatAreNotEtcdAreSkipped() throws Exception {
    List<FakeServer> servers =
        List.of(
            FakeServer.silent(),
            FakeServer.answeringJson("<html></html>"),
            new FakeServer(_ -> {}),
            FakeServer.answering("garbage\r\n\r\n"));
    try {
      List<String> endpoints = new ArrayList<>(servers.stream().map(FakeServer::url).toList());
      endpoints.add(etcd.endpoints().getFirst());
      requireCallsWithin(Duration.ofSeconds(4), endpoints);
    } finally {
      for (FakeServer it : servers) {
        it.close();
      }
    }
  }

  @Test
  void callsLeaveNoThreadsAndDescriptors() throws Exception {
    for (int i = 0; i < 20; i++) {
      node(etcd.endpoints()).status();
    }
    int threads = Thread.activeCount();
    long descriptors = descriptors();
    for (int i = 0; i < 100; i++) {
      node(etcd.endpoints()).add("c");
      node(etcd.endpoints()).delete("c");
    }
    for (int i = 0;
        i < 50 && (descriptors() > descriptors || Thread.activeCount() > threads);
        i++) {
      Thread.sleep(100); // an HttpClient ends in the background
    }
    long left = descriptors();
    assertTrue(left <= descriptors, () -> left + " descriptors, before " + descriptors);
    int active = Thread.activeCount();
    assertTrue(active <= threads, () -> active + " threads, before " + threads);
  }

  private static long descriptors() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      return files.count();
    }
  }
}
