// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.ClientLog.Entry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Processes of plugins that are killed at any instant. */
@RequiresEtcd
@Timeout(120)
class ClientKillTest {
  private static final Duration TIME = Duration.ofSeconds(40);

  /** The number of processes at the same time, each with hosts of its own. */
  private static final int PROCESSES = 4;

  private static final int KILLS = 25;

  /** From the first call of a process, or its result, to its end. */
  private static final int MAX_LIFE_MILLIS = 300;

  @TempDir private Path directory;

  @Test
  void killedProcessesLeaveWhatGcReleases() throws Exception {
    try (EtcdCluster etcd = EtcdCluster.start(EtcdClusterOptions.members(3).in(directory))) {
      long end = System.nanoTime() + TIME.toNanos();
      List<Path> logs = new ArrayList<>();
      List<Callable<Void>> killers = new ArrayList<>();
      for (int i = 0; i < PROCESSES; i++) {
        String name = "p" + i;
        killers.add(
            () -> {
              for (int kill = 0; kill < KILLS && System.nanoTime() - end < 0; kill++) {
                Path log = runAndKill(etcd, name, kill);
                synchronized (logs) {
                  logs.add(log);
                }
              }
              return null;
            });
      }
      AllocationCampaign.runAll(killers);
      collect(etcd, logs);
    }
  }

  private void collect(EtcdCluster etcd, List<Path> logs) throws Exception {
    try (var campaign =
        new AllocationCampaign(etcd.endpoints(), directory.resolve("nodes"), new ClientLog())) {
      campaign.log().addFiles(logs);
      for (int i = 0; i < PROCESSES; i++) {
        campaign.addNode("p" + i + "a", false, "\"gcGrace\":0," + TestNode.DUAL_STACK);
        campaign.addNode("p" + i + "b", false, "\"gcGrace\":0," + TestNode.DUAL_STACK);
      }
      List<Entry> unfinished =
          campaign.log().entries().stream().filter(it -> it.end() == Long.MAX_VALUE).toList();
      System.out.printf(
          "%d processes killed, %d calls in progress: %s%n",
          logs.size(), unfinished.size(), campaign.summary());
      assertTrue(logs.size() >= PROCESSES);
      campaign.collectAll();
      campaign.assertOnlyLiveHandles(etcd);
      campaign.assertNoViolations(new EtcdEvents(etcd, TestNode.PREFIX));
    }
  }

  private Path runAndKill(EtcdCluster etcd, String name, int number) throws Exception {
    Path log = directory.resolve(name + "-" + number + ".log");
    Path output = directory.resolve(name + ".out");
    ServerProcess process =
        AllocationClient.start(
            List.of(),
            etcd.endpoints(),
            directory.resolve("nodes"),
            log,
            output,
            "c" + number + "-",
            TIME,
            name + "a",
            name + "b");
    try {
      String awaited = number % 4 == 0 ? "ADD" : "SUCCESS"; // some are killed in their first call
      while (!Files.exists(log) || !Files.readString(log).contains(awaited)) {
        assertTrue(process.isAlive(), () -> name + " has ended, see " + output);
        TimeUnit.MILLISECONDS.sleep(10);
      }
      TimeUnit.MILLISECONDS.sleep(ThreadLocalRandom.current().nextInt(MAX_LIFE_MILLIS));
      assertTrue(process.isAlive(), () -> name + " has ended, see " + output);
    } finally {
      process.kill();
    }
    return log;
  }
}
