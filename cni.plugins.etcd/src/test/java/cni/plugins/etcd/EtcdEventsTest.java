// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import cni.plugins.etcd.HistorySource.Event;
import cni.plugins.etcd.HistorySource.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
@Timeout(180)
class EtcdEventsTest {
  @Test
  void historyIsReadAcrossCompactions() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(1)) {
      cluster.etcdctl("put", "cni/a", "1");
      cluster.etcdctl("put", "other", "1");
      cluster.etcdctl("put", "cni/b", "\"\u00e9\"");
      cluster.etcdctl("del", "cni/", "--prefix");
      var events = new EtcdEvents(cluster, "cni/");
      List<Revision> expected =
          List.of(
              new Revision(2, List.of(new Event("cni/a", "1"))),
              new Revision(4, List.of(new Event("cni/b", "\"\u00e9\""))),
              new Revision(5, List.of(new Event("cni/a", null), new Event("cni/b", null))));
      assertEquals(expected, events.read());
      cluster.etcdctl("put", "cni/c", "1");
      assertEquals(4, events.read().size());
      cluster.compact();
      cluster.etcdctl("put", "cni/d", "1");
      assertEquals(new Revision(9, List.of(new Event("cni/d", "1"))), events.read().get(4));

      cluster.etcdctl("put", "cni/d", "2");
      cluster.etcdctl("put", "cni/d", "3");
      cluster.compact();
      assertThrows(IOException.class, events::read);
      List<Event> present = List.of(new Event("cni/c", "1"), new Event("cni/d", "3"));
      List<Revision> late = new EtcdEvents(cluster, "cni/").read();
      assertEquals(List.of(present), late.stream().map(Revision::events).toList());
    }
  }

  @Test
  void historyIsReadAfterRestore(@TempDir Path directory) throws Exception {
    Path snapshot = directory.resolve("snapshot");
    try (EtcdCluster cluster = EtcdCluster.start(1)) {
      cluster.etcdctl("put", "cni/a", "1");
      cluster.snapshot(snapshot);
      cluster.etcdctl("put", "cni/a", "2");
      var before = new EtcdEvents(cluster, "cni/");
      assertEquals(2, before.read().size());
      cluster.restore(snapshot);
      assertThrows(IllegalStateException.class, before::read);
      assertEquals(1, new EtcdEvents(cluster, "cni/").read().size());
    }
  }

  @Test
  void historyOfAClusterWithPasswordsIsRead() throws Exception {
    try (EtcdCluster cluster = EtcdCluster.start(3)) {
      cluster.enableAuth("root-password", "user", "user-password", "cni/");
      cluster.etcdctl("put", "cni/unknown", "{}");
      var history = new AllocationHistory("cni", new EtcdEvents(cluster, "cni/"));
      List<String> violations = history.violations();
      assertEquals(1, violations.size(), violations.toString());
      assertEquals(violations, history.violations());
    }
  }
}
