// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Counts the calls of each kind and their durations. */
final class CallStatistics {
  /** Above what plugins and verbs make; the rest is counted together. */
  private static final int MAX_KINDS = 512;

  private static final CallKind OTHER = new CallKind("other", "other");

  private final Map<CallKind, Counters> kinds = new TreeMap<>(CallKind.ORDER);
  private long refused;
  private String lastRefusal = "";

  private static final class Counters {
    private long served;
    private long failed;
    private final LatencyHistogram durations = new LatencyHistogram();
  }

  /**
   * Counts a call that has ended.
   *
   * @param nanos how long it took, waiting included
   */
  synchronized void ended(CallKind kind, boolean success, long nanos) {
    boolean isKnown = kinds.containsKey(kind) || kinds.size() < MAX_KINDS;
    Counters counters = kinds.computeIfAbsent(isKnown ? kind : OTHER, _ -> new Counters());
    counters.served++;
    counters.failed += success ? 0 : 1;
    counters.durations.add(nanos / 1000);
  }

  /** Counts a request that the caller has to serve itself. */
  synchronized void refused(String reason) {
    refused++;
    lastRefusal = reason;
  }

  /** Returns why the last request was refused; empty if none was. */
  synchronized String lastRefusal() {
    return lastRefusal;
  }

  synchronized long refusedCount() {
    return refused;
  }

  /** Returns the numbers of each kind, sorted by name and verb. */
  synchronized List<HostStatus.Calls> calls() {
    List<HostStatus.Calls> calls = new ArrayList<>();
    kinds.forEach(
        (kind, it) ->
            calls.add(
                new HostStatus.Calls(
                    kind.name(),
                    kind.verb(),
                    it.served,
                    it.failed,
                    it.durations.percentile(0.5),
                    it.durations.percentile(0.99))));
    return calls;
  }
}
