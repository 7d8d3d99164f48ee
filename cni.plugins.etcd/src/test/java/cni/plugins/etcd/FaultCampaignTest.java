// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Loads of many hosts while members of etcd, or the connections to them, fail. */
@RequiresEtcd
@Timeout(120)
class FaultCampaignTest {
  private static final int HOSTS = 24;
  private static final Duration LOAD = Duration.ofSeconds(12);
  private static final String IPAM = "\"gcGrace\":2,\"timeout\":4," + TestNode.DUAL_STACK;

  /** Of hosts that give up while a request may still be performed. */
  private static final String IMPATIENT = IPAM.replace("\"timeout\":4", "\"timeout\":1");

  private static EtcdCluster etcd;
  @TempDir private static Path root;

  @TempDir private Path directory;
  private final List<ConnectionProxy> proxies = new ArrayList<>();
  private EtcdEvents events;
  private long compacted;

  /** What one thread does again and again during a load. */
  enum Fault {
    MEMBERS_ARE_KILLED {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        EtcdMember member = anyMember();
        member.kill();
        sleep(1000);
        member.start();
        etcd.awaitHealthy();
        sleep(1000);
      }
    },
    MEMBERS_ARE_PAUSED {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        EtcdMember member = anyMember();
        member.pause();
        sleep(3000);
        member.resume();
        etcd.awaitHealthy();
        sleep(1000);
      }
    },
    LEADER_MOVES {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        etcd.moveLeader();
      }
    },
    STORE_IS_COMPACTED {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        test.compactWhatWasRead();
        etcd.defragment();
      }
    },
    CONNECTIONS_ARE_CUT {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        test.proxies.forEach(ConnectionProxy::cut);
        sleep(150);
      }
    },
    REQUESTS_ARRIVE_LATE {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        var proxy = test.proxies.get(ThreadLocalRandom.current().nextInt(test.proxies.size()));
        proxy.setStalled(true);
        sleep(2500);
        proxy.setStalled(false);
        sleep(200);
      }
    };

    abstract void strike(FaultCampaignTest test) throws Exception;

    private static EtcdMember anyMember() {
      return etcd.member(ThreadLocalRandom.current().nextInt(etcd.members().size()));
    }

    private static void sleep(int maxMillis) throws InterruptedException {
      Thread.sleep(ThreadLocalRandom.current().nextInt(maxMillis / 10, maxMillis));
    }
  }

  @BeforeAll
  static void start() throws Exception {
    etcd = EtcdCluster.start(EtcdClusterOptions.members(3).in(root));
  }

  @AfterAll
  static void stop() throws Exception {
    etcd.close();
  }

  @BeforeEach
  void open() throws Exception {
    compacted = etcd.compact(); // a test begins with an empty history
    events = new EtcdEvents(etcd, TestNode.PREFIX);
    events.read();
    for (String endpoint : etcd.endpoints()) {
      proxies.add(new ConnectionProxy(endpoint));
    }
  }

  @AfterEach
  void close() throws Exception {
    for (ConnectionProxy it : proxies) {
      it.close();
    }
    etcd.etcdctl("del", "--prefix", TestNode.PREFIX);
  }

  @ParameterizedTest
  @EnumSource
  void addressesAreConsistentWhile(Fault fault) throws Exception {
    List<String> endpoints = proxies.stream().map(ConnectionProxy::endpoint).toList();
    try (var campaign =
        new AllocationCampaign(endpoints, directory, new ClientLog())
            .withNodes("h", HOSTS / 2, IPAM)
            .withNodes("i", HOSTS / 2, IMPATIENT)) {
      long end = System.nanoTime() + LOAD.toNanos();
      CompletableFuture<Integer> faults =
          CompletableFuture.supplyAsync(() -> strikeUntil(fault, end));
      new AllocationLoad(campaign.nodes(), () -> System.nanoTime() - end > 0, "c", true).run();
      int strikes = faults.get();
      System.out.printf("%s, %d times: %s%n", fault, strikes, campaign.summary());
      assertTrue(strikes > 1);
      etcd.awaitHealthy();
      Thread.sleep(1000); // requests on their way arrive before GC
      campaign.collectAll();
      campaign.assertOnlyLiveHandles(etcd);
      campaign.assertNoViolations(events);
    }
  }

  /** Discards the revisions that the history has; those that it has not read are kept. */
  private void compactWhatWasRead() throws Exception {
    long last = 0;
    for (HistorySource.Revision it : events.read()) {
      last = it.number();
    }
    if (last > compacted) {
      etcd.compact(last);
      compacted = last;
    }
  }

  private int strikeUntil(Fault fault, long end) {
    int strikes = 0;
    try {
      for (; System.nanoTime() - end < 0; strikes++) {
        fault.strike(this);
      }
    } catch (Exception e) {
      throw new AssertionError(e);
    }
    return strikes;
  }
}
