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
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

@RequiresEtcd
class EtcdClientTest {
  private static final int KEYS = 11_000;
  private static final int BATCH = 100;

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);
  private EtcdClient client;

  @BeforeEach
  void open() throws Exception {
    client = client(etcd.endpoints());
  }

  @AfterEach
  void close() throws Exception {
    client.close();
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

  private int count(String prefix) throws CniException {
    return client.list(prefix, true, soon()).keys().size();
  }

  @Test
  void listAtReadsAnEarlierRevision() throws Exception {
    put("/a/1", "old");
    long revision = client.list("/a/", false, soon()).header().revision();
    put("/a/1", "new");
    put("/a/2", "new");
    put("/b/1", "new");
    EtcdClient.Listing listing = client.listAt("/a/", revision, soon()).orElseThrow();
    assertEquals(List.of("old"), listing.keys().stream().map(KeyValue::value).toList());
    assertEquals(revision + 3, listing.header().revision());
    assertEquals(List.of(), client.listAt("/b/", revision, soon()).orElseThrow().keys());
  }

  @Test
  void listAtIsAbsentForACompactedRevision() throws Exception {
    put("/a/1", "old");
    long revision = client.list("/a/", false, soon()).header().revision();
    put("/a/1", "new");
    etcd.cluster().compact();
    assertEquals(Optional.empty(), client.listAt("/a/", revision, soon()));
    CniException e =
        assertThrows(CniException.class, () -> client.listAt("/a/", revision + 1000, soon()));
    assertTrue(e.getMessage().contains("future revision"), e::getMessage);
  }

  /** A server whose first page of keys is followed by one that has been compacted. */
  private static FakeServer compactingBetweenPages(AtomicInteger requests) throws IOException {
    String page =
        "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"5\"},\"more\":%s,"
            + "\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"1\"}]}";
    String compacted =
        "{\"error\":\"x\",\"message\":\"etcdserver: mvcc: required revision has been compacted\","
            + "\"code\":11}";
    return new FakeServer(
        connection -> {
          FakeServer.readRequest(connection.getInputStream());
          String answer =
              switch (requests.incrementAndGet()) {
                case 1 -> FakeServer.http("200 OK", page.formatted("true"));
                case 2 -> FakeServer.http("400 Bad Request", compacted);
                default -> FakeServer.http("200 OK", page.formatted("false"));
              };
          connection.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
        });
  }

  @Test
  void listStartsAgainAfterACompactionBetweenPages() throws Exception {
    var requests = new AtomicInteger();
    try (FakeServer fake = compactingBetweenPages(requests);
        EtcdClient other = client(List.of(fake.url()))) {
      assertEquals(1, other.list("/a/", false, soon()).keys().size());
      assertEquals(3, requests.get());
    }
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
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Future<Object> writer =
          threads.submit(
              () -> {
                for (int i = KEYS; !isDone.get() && i < 2 * KEYS; i++) {
                  put("/k/%05d".formatted(i), "later");
                  put("/k/%05d".formatted(i - KEYS), "changed");
                }
                return client;
              });
      EtcdClient.Listing listing = client.list("/k/", false, soon());
      List<String> keys = listing.keys().stream().map(KeyValue::key).toList();
      assertEquals(keys.stream().sorted().distinct().toList(), keys);
      assertTrue(keys.size() >= KEYS);
      for (KeyValue it : listing.keys()) {
        assertTrue(it.modRevision() <= listing.header().revision(), it::toString);
      }
      isDone.set(true);
      writer.get();
    } finally {
      isDone.set(true);
    }
    assertTrue(count("/k/") >= KEYS);
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
    assertEquals(1, count("/leased"));
    client.revokeLease(lease, soon());
    assertEquals(0, count("/leased"));
    assertFalse(client.keepAlive(lease, soon()));
    client.revokeLease(lease, soon());
    long brief = client.grantLease(Duration.ofSeconds(1), soon());
    client.commit(new Txn().then(new Op.Put("/brief", "1", OptionalLong.of(brief))), soon());
    Polling.await("the brief lease has ended", () -> count("/brief") == 0);
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

    void awaitLoads(int count) throws Exception {
      Polling.await(count + " loads", () -> loads.get() >= count);
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
      etcd.cluster().member(0).kill();
      etcd.cluster().member(0).start();
      etcd.cluster().awaitHealthy();
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
    etcd.cluster().compact();
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
