// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Deadline;
import cni.plugins.etcd.client.EtcdClient;
import cni.plugins.etcd.client.EtcdOptions;
import cni.plugins.etcd.client.EtcdWatch;
import cni.plugins.etcd.client.EtcdWatch.Change;
import cni.plugins.etcd.client.KeyValue;
import cni.plugins.etcd.client.Op;
import cni.plugins.etcd.client.TlsOptions;
import cni.plugins.etcd.client.Txn;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@RequiresEtcd
class EtcdClientTest {
  private static final int KEYS = 11_000;
  private static final int BATCH = 100;

  @TempDir private static Path root;
  private static EtcdCluster etcd;
  private EtcdClient client;

  @BeforeAll
  static void start() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(1).in(root));
  }

  @AfterAll
  static void stop() throws Exception {
    etcd.close();
  }

  @BeforeEach
  void open() throws Exception {
    client = client(etcd.endpoints());
  }

  @AfterEach
  void close() throws Exception {
    client.close();
    etcd.etcdctl("del", "--prefix", "/");
  }

  private static EtcdClient client(List<String> endpoints) throws CniException {
    return EtcdClient.create(
        new EtcdOptions(
            endpoints.stream().map(URI::create).toList(),
            TlsOptions.DEFAULT,
            Optional.empty(),
            Duration.ofSeconds(10)));
  }

  private static Deadline soon() {
    return Deadline.after(Duration.ofSeconds(20));
  }

  private void put(String key, String value) throws CniException {
    client.commit(new Txn().then(new Op.Put(key, value)), soon());
  }

  @Test
  void listReadsManyKeysAtOneRevisionWhileOthersWrite() throws Exception {
    for (int i = 0; i < KEYS; i += BATCH) {
      var txn = new Txn();
      for (int j = i; j < i + BATCH; j++) {
        txn.then(new Op.Put("/k/%05d".formatted(j), "v"));
      }
      client.commit(txn, soon());
    }
    var isDone = new AtomicBoolean();
    Thread writer =
        Thread.ofPlatform()
            .start(
                () -> {
                  for (int i = KEYS; !isDone.get() && i < 2 * KEYS; i++) {
                    try {
                      put("/k/%05d".formatted(i), "later");
                      put("/k/%05d".formatted(i - KEYS), "changed");
                    } catch (CniException e) {
                      throw new AssertionError(e);
                    }
                  }
                });
    try {
      EtcdClient.Listing listing = client.list("/k/", false, soon());
      List<String> keys = listing.keys().stream().map(KeyValue::key).toList();
      assertEquals(keys.stream().sorted().distinct().toList(), keys);
      assertTrue(keys.size() >= KEYS);
      for (KeyValue it : listing.keys()) {
        assertTrue(it.modRevision() <= listing.header().revision(), it::toString);
      }
    } finally {
      isDone.set(true);
      writer.join();
    }
    assertTrue(client.count("/k/", soon()) >= KEYS);
  }

  @Test
  void requireNoneFailsIfAKeyHasThePrefix() throws Exception {
    Txn txn = new Txn().requireNone("/none/").then(new Op.Put("/done", "1"));
    assertTrue(client.commit(txn, soon()).succeeded());
    put("/none", "beside");
    put("/none0", "beside");
    assertTrue(client.commit(txn, soon()).succeeded());
    put("/none/x", "1");
    assertFalse(client.commit(txn, soon()).succeeded());
  }

  @Test
  void leasesEndKeysAndCanBeKeptAndRevoked() throws Exception {
    long lease = client.grantLease(Duration.ofSeconds(30), soon());
    client.commit(new Txn().then(new Op.Put("/leased", "1", OptionalLong.of(lease))), soon());
    assertTrue(client.keepAlive(lease, soon()));
    assertEquals(1, client.count("/leased", soon()));
    client.revokeLease(lease, soon());
    assertEquals(0, client.count("/leased", soon()));
    assertFalse(client.keepAlive(lease, soon()));
    client.revokeLease(lease, soon());
    long brief = client.grantLease(Duration.ofSeconds(1), soon());
    client.commit(new Txn().then(new Op.Put("/brief", "1", OptionalLong.of(brief))), soon());
    for (int i = 0; i < 100 && client.count("/brief", soon()) > 0; i++) {
      Thread.sleep(100);
    }
    assertEquals(0, client.count("/brief", soon()));
    assertFalse(client.keepAlive(brief, soon()));
  }

  @Test
  void leaseThatHasEndedIsReported() {
    Txn txn = new Txn().then(new Op.Put("/x", "1", OptionalLong.of(12345)));
    CniException e = assertThrows(CniException.class, () -> client.commit(txn, soon()));
    assertEquals(5, e.code());
    assertTrue(e.getMessage().contains("lease not found"), e::getMessage);
  }

  /** Collects what a watch delivers. */
  private final class Recorder implements EtcdWatch.Listener {
    final BlockingQueue<Change> changes = new LinkedBlockingQueue<>();
    final AtomicInteger loads = new AtomicInteger();

    @Override
    public long load() throws CniException {
      long revision = client.list("/w/", false, Deadline.none()).header().revision();
      loads.incrementAndGet();
      return revision;
    }

    @Override
    public void apply(List<Change> delivered) {
      changes.addAll(delivered);
    }

    /** Waits for a number of changes and returns their values. */
    List<String> take(int count) throws InterruptedException {
      List<String> values = new ArrayList<>();
      while (values.size() < count) {
        Change change = changes.poll(30, TimeUnit.SECONDS);
        if (change == null) {
          throw new AssertionError("only " + values);
        }
        values.add(change.value().map(KeyValue::value).orElse("deleted"));
      }
      return values;
    }

    void awaitLoads(int count) throws InterruptedException {
      for (int i = 0; i < 300 && loads.get() < count; i++) {
        Thread.sleep(100);
      }
      assertEquals(count, loads.get());
    }
  }

  private List<String> write(int from, int count) throws CniException {
    List<String> values = new ArrayList<>();
    for (int i = from; i < from + count; i++) {
      put("/w/" + i % 3, "v" + i);
      put("/other", "v" + i);
      values.add("v" + i);
    }
    return values;
  }

  @Test
  void watchDeliversChangesInOrderAlsoAfterARestart() throws Exception {
    var recorder = new Recorder();
    try (EtcdWatch watch = EtcdWatch.start(client, "/w/", recorder)) {
      recorder.awaitLoads(1);
      assertEquals(write(0, 50), recorder.take(50));
      client.commit(new Txn().then(new Op.Delete("/w/0")), soon());
      assertEquals(List.of("deleted"), recorder.take(1));
      etcd.member(0).kill();
      etcd.member(0).start();
      etcd.awaitHealthy();
      assertEquals(write(100, 50), recorder.take(50));
      watch.reconnect();
      assertEquals(write(200, 50), recorder.take(50));
      assertEquals(1, recorder.loads.get());
    }
    int delivered = recorder.changes.size();
    write(300, 3);
    Thread.sleep(500);
    assertEquals(delivered, recorder.changes.size());
  }

  @Test
  void watchLoadsAgainAfterACompaction() throws Exception {
    var recorder = new Recorder();
    List<Long> revisions = Collections.synchronizedList(new ArrayList<>(List.of(1L)));
    write(0, 5);
    etcd.compact();
    EtcdWatch.Listener behind =
        new EtcdWatch.Listener() {
          @Override
          public long load() throws CniException {
            long revision = recorder.load();
            return revisions.isEmpty() ? revision : revisions.removeFirst();
          }

          @Override
          public void apply(List<Change> delivered) {
            recorder.apply(delivered);
          }
        };
    try (EtcdWatch _ = EtcdWatch.start(client, "/w/", behind)) {
      recorder.awaitLoads(2);
      assertEquals(write(10, 5), recorder.take(5));
    }
  }

  @Test
  void watchConnectsRarelyWhileEtcdIsAway() throws Exception {
    AtomicInteger loads = new AtomicInteger();
    try (FakeServer fake = new FakeServer(_ -> {});
        EtcdClient other = client(List.of(fake.url()));
        EtcdWatch _ =
            EtcdWatch.start(
                other,
                "/w/",
                new EtcdWatch.Listener() {
                  @Override
                  public long load() {
                    loads.incrementAndGet();
                    return 1;
                  }

                  @Override
                  public void apply(List<Change> changes) {}
                })) {
      Thread.sleep(3000);
      assertTrue(fake.connections() > 3, () -> fake.connections() + " connections");
      assertTrue(fake.connections() < 100, () -> fake.connections() + " connections");
      assertEquals(1, loads.get());
    }
  }
}
