// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.bench.BenchNetworks.Chain;
import cni.bench.BenchNetworks.Implementation;
import cni.bench.ComparisonTable.Goal;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * Measures the resident host: its start, its memory, and how often it wakes up while it is idle.
 */
final class HostComparison {
  private static final int ADDS = 10_000;
  private static final int ADDS_OF_LONG_RUN = 50_000;
  private static final int THREADS = 16;
  private static final int MAX_RESIDENT_MIB = 100;
  private static final int MAX_START_MILLIS = 1_000;

  /** How long the host may still work after the last call; its threads end after ten seconds. */
  private static final int SETTLE_MILLIS = 13_000;

  private static final int IDLE_SECONDS = 10;

  private final ExecNetworks execs;
  private final HostProcess host;
  private final ComparisonTable table;

  HostComparison(ExecNetworks execs, HostProcess host, ComparisonTable table) {
    this.execs = execs;
    this.host = host;
    this.table = table;
  }

  /**
   * Adds the rows.
   *
   * @param longRun whether to compare the memory with that after five times as many ADDs
   */
  void run(boolean longRun) throws Exception {
    addStartRow();
    Callers callers = execs.plugins(Implementation.HOST, Chain.BRIDGE);
    addAndDelete(callers, ADDS);
    double resident = host.residentSetMib();
    addRow("resident set after %d ADD and DEL".formatted(ADDS), resident, MAX_RESIDENT_MIB);
    if (longRun) {
      addAndDelete(callers, ADDS_OF_LONG_RUN - ADDS);
      double later = host.residentSetMib();
      table.addRow(
          "resident set after %d ADD and DEL".formatted(ADDS_OF_LONG_RUN),
          List.of(ComparisonTable.number(later) + " MiB"),
          "last / first",
          later / resident,
          Goal.atMost(1.1));
    }
    addIdleRow();
  }

  private void addStartRow() {
    OptionalDouble ready = host.readyMillis();
    if (ready.isEmpty()) {
      System.out.println("the host has not reported READY=1: its start is not measured");
      return;
    }
    table.addRow(
        "start until READY",
        List.of(ComparisonTable.millis(ready.getAsDouble())),
        "ms",
        ready.getAsDouble(),
        Goal.atMost(MAX_START_MILLIS));
  }

  private void addAndDelete(Callers callers, int adds) throws IOException {
    int containers = execs.networks().containerCount();
    for (int i = 0; i < adds; i += containers) {
      callers.run("ADD", containers, THREADS);
      callers.run("DEL", containers, containers);
    }
  }

  private void addIdleRow() throws Exception {
    Thread.sleep(SETTLE_MILLIS);
    Map<String, Long> before = host.wakeUps();
    Thread.sleep(IDLE_SECONDS * 1000L);
    long wakeUps = 0;
    for (Map.Entry<String, Long> thread : host.wakeUps().entrySet()) {
      wakeUps += thread.getValue() - before.getOrDefault(thread.getKey(), 0L);
    }
    double perSecond = (double) wakeUps / IDLE_SECONDS;
    table.addRow(
        "wake-ups while idle",
        List.of(ComparisonTable.number(perSecond) + "/s"),
        "per second",
        perSecond,
        Goal.atMost(1));
  }

  private void addRow(String label, double mib, double target) {
    table.addRow(
        label, List.of(ComparisonTable.number(mib) + " MiB"), "MiB", mib, Goal.atMost(target));
  }
}
