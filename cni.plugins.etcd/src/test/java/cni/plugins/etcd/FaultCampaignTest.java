// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
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

  /** Of hosts whose calls time out while etcd may still perform the request. */
  private static final String SHORT_TIMEOUT = IPAM.replace("\"timeout\":4", "\"timeout\":1");

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(3);

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
        etcd.cluster().awaitHealthy();
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
        etcd.cluster().awaitHealthy();
        sleep(1000);
      }
    },
    LEADER_MOVES {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        etcd.cluster().moveLeader();
      }
    },
    STORE_IS_COMPACTED {
      @Override
      void strike(FaultCampaignTest test) throws Exception {
        test.compactWhatWasRead();
        etcd.cluster().defragment();
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
      return etcd.cluster()
          .member(ThreadLocalRandom.current().nextInt(etcd.cluster().members().size()));
    }

    private static void sleep(int maxMillis) throws InterruptedException {
      Thread.sleep(ThreadLocalRandom.current().nextInt(maxMillis / 10, maxMillis));
    }
  }

  @BeforeEach
  void open() throws Exception {
    events = new EtcdEvents(etcd.cluster(), TestNode.PREFIX);
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
  }

  @ParameterizedTest
  @EnumSource
  void addressesAreConsistentWhile(Fault fault) throws Exception {
    List<String> endpoints = proxies.stream().map(ConnectionProxy::endpoint).toList();
    try (var campaign =
            new AllocationCampaign(endpoints, directory, new ClientLog())
                .withNodes("h", HOSTS / 2, IPAM)
                .withNodes("i", HOSTS / 2, SHORT_TIMEOUT);
        // Not the common pool: HttpClient completes its responses there.
        var thread = Executors.newSingleThreadExecutor()) {
      long end = System.nanoTime() + LOAD.toNanos();
      Future<Integer> faults = thread.submit(() -> strikeUntil(fault, end));
      new AllocationLoad(campaign.nodes(), () -> System.nanoTime() - end > 0, "c", true).run();
      int strikes = faults.get();
      System.out.printf("%s, %d times: %s%n", fault, strikes, campaign.summary());
      assertTrue(campaign.log().entries().stream().anyMatch(ClientLog.Entry::succeeded));
      etcd.cluster().awaitHealthy();
      Thread.sleep(1000); // requests on their way arrive before GC
      campaign.collectAll();
      campaign.assertOnlyLiveHandles(etcd.cluster());
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
      etcd.cluster().compact(last);
      compacted = last;
    }
  }

  private int strikeUntil(Fault fault, long end) throws Exception {
    int strikes = 0;
    for (; System.nanoTime() - end < 0; strikes++) {
      fault.strike(this);
    }
    return strikes;
  }
}
