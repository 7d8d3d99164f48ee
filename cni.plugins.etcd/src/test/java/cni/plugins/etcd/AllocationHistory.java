// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;

/**
 * Checks the history of a cluster's addresses: the state after every revision, see {@link
 * AllocationState}, and the results of clients, see {@link ClientLogCheck}.
 */
final class AllocationHistory {
  private static final String HANDLES = "handles/";

  private final String prefix;
  private final HistorySource source;

  /**
   * Creates a check.
   *
   * @param prefix the prefix of all keys of the plugin
   * @param source where the changes of these keys are read from
   */
  AllocationHistory(String prefix, HistorySource source) {
    this.prefix = prefix;
    this.source = source;
  }

  /**
   * Checks the state after every revision.
   *
   * @return the violations, each with the revision at which it first appears; empty if there is
   *     none
   */
  List<String> violations() throws IOException, InterruptedException {
    List<String> found = new ArrayList<>();
    replay(found);
    return found;
  }

  /**
   * Checks the state after every revision, and that it agrees with the calls of all clients.
   *
   * @param log all calls since the first revision
   * @return the violations; empty if there is none
   */
  List<String> violations(ClientLog log) throws IOException, InterruptedException {
    List<String> found = new ArrayList<>();
    HandleTimelines timelines = replay(found);
    found.addAll(new ClientLogCheck(timelines, log.entries()).violations());
    return found;
  }

  private HandleTimelines replay(List<String> found) throws IOException, InterruptedException {
    var state = new AllocationState(prefix);
    Map<String, HandleTimelines.Timeline> timelines = new TreeMap<>();
    Set<String> reported = new HashSet<>();
    long last = 0;
    for (HistorySource.Revision revision : source.read()) {
      if (revision.number() <= last) {
        throw new IllegalArgumentException(
            "revision %d follows %d".formatted(revision.number(), last));
      }
      last = revision.number();
      revision.events().forEach(state::apply);
      for (String handle : handles(state, revision)) {
        timelines
            .computeIfAbsent(handle, it -> new HandleTimelines.Timeline())
            .change(revision.number(), state.handle(handle));
      }
      report(revision.number(), state.newViolations(), reported, found);
    }
    report(last, state.violations(), reported, found);
    return new HandleTimelines(timelines, last);
  }

  /** Adds violations that have not been reported before. */
  private static void report(
      long revision, Set<String> violations, Set<String> reported, List<String> found) {
    for (String violation : violations) {
      if (reported.add(violation)) {
        found.add("revision %d: %s".formatted(revision, violation));
      }
    }
  }

  private static Set<String> handles(AllocationState state, HistorySource.Revision revision) {
    Set<String> handles = new LinkedHashSet<>();
    revision.events().stream()
        .map(event -> state.relativeKey(event.key()))
        .filter(Objects::nonNull)
        .filter(key -> key.startsWith(HANDLES))
        .forEach(key -> handles.add(key.substring(HANDLES.length())));
    return handles;
  }
}
