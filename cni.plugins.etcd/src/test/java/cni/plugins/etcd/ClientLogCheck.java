// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.plugins.etcd.ClientLog.Entry;
import cni.plugins.etcd.ClientLog.Operation;
import cni.plugins.etcd.ClientLog.Outcome;
import cni.plugins.etcd.HandleTimelines.Span;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Checks that the calls of clients and the history of handles agree.
 *
 * <p>Each successful call is assigned the earliest revision at which its handle is as the call
 * returned it, and that is not before the revisions of the calls that had ended when it began. (It
 * is after them if the call itself wrote the handle.) These conditions only bound revisions from
 * below; hence, if a call has no such revision, there is no order of the calls that is consistent
 * with real time: the history is not linearizable.
 */
final class ClientLogCheck {
  private final HandleTimelines timelines;
  private final Map<String, List<Entry>> byHandle;

  /** The successful calls, as they began and as they ended. */
  private final List<Entry> byStart;

  private final List<Entry> byEnd;

  /** The ends of {@link #byEnd}. */
  private final long[] ends;

  /** The revisions of the successful calls. Two equal calls have the same. */
  private final Map<Entry, Long> revisions = new HashMap<>();

  /** The successful calls that have no revision that agrees with them. */
  private final Set<Entry> unplaced = new HashSet<>();

  /** The call with the latest revision among those up to the same index of {@link #byEnd}. */
  private final Entry[] latest;

  private final List<String> found = new ArrayList<>();

  ClientLogCheck(HandleTimelines timelines, List<Entry> entries) {
    this.timelines = timelines;
    byHandle = entries.stream().collect(Collectors.groupingBy(Entry::handle));
    List<Entry> succeeded = entries.stream().filter(Entry::succeeded).toList();
    byStart = succeeded.stream().sorted(Comparator.comparingLong(Entry::start)).toList();
    byEnd = succeeded.stream().sorted(Comparator.comparingLong(Entry::end)).toList();
    ends = byEnd.stream().mapToLong(Entry::end).toArray();
    latest = new Entry[byEnd.size()];
  }

  /** Returns the violations; empty if there is none. */
  List<String> violations() {
    assignRevisions();
    for (Entry entry : byStart) {
      if (entry.operation() == Operation.ADD && !unplaced.contains(entry)) {
        checkHeld(entry);
      }
    }
    checkExclusiveResults();
    Set<String> handles = new TreeSet<>(byHandle.keySet());
    handles.addAll(timelines.byHandle().keySet());
    for (String handle : handles) {
      checkWriters(handle);
      checkEnd(handle);
    }
    return List.copyOf(found);
  }

  private List<Entry> calls(String handle) {
    return byHandle.getOrDefault(handle, List.of());
  }

  private static @Nullable List<String> expected(Entry entry) {
    return entry.operation() == Operation.ADD ? entry.addresses() : null;
  }

  private void assignRevisions() {
    int ended = 0;
    for (Entry entry : byStart) {
      while (byEnd.get(ended).end() < entry.start()) {
        Entry predecessor = byEnd.get(ended);
        boolean later = ended == 0 || revision(predecessor) > revision(latest[ended - 1]);
        latest[ended] = later ? predecessor : latest[ended - 1];
        ended++;
      }
      Entry bound = ended == 0 ? null : latest[ended - 1];
      long earliest = bound == null ? 0 : revision(bound);
      long revision = earliestRevision(entry, earliest);
      if (revision < 0) {
        found.add(
            "%s: the handle is not so at a revision since %d%s"
                .formatted(entry, earliest, bound == null ? "" : ", that of " + bound));
        unplaced.add(entry);
        revision = earliest;
      }
      revisions.merge(entry, revision, Math::max);
    }
    // Those that ended after the last one began.
    for (; ended < byEnd.size(); ended++) {
      Entry entry = byEnd.get(ended);
      boolean later = ended == 0 || revision(entry) > revision(latest[ended - 1]);
      latest[ended] = later ? entry : latest[ended - 1];
    }
  }

  private long revision(Entry entry) {
    return revisions.getOrDefault(entry, 0L);
  }

  private long earliestRevision(Entry entry, long earliest) {
    for (Span span : timelines.spans(entry.handle())) {
      if (!span.has(expected(entry))) {
        continue;
      }
      if (isOnlyWriter(entry)) {
        if (span.from() > earliest) {
          return span.from();
        }
      } else if (span.to() > earliest) {
        return Math.max(span.from(), earliest);
      }
    }
    return -1;
  }

  /** Returns whether no other call can have written what a successful ADD returned. */
  private boolean isOnlyWriter(Entry add) {
    if (add.operation() != Operation.ADD) {
      return false; // a handle may be deleted without a call, when its node is removed
    }
    return calls(add.handle()).stream()
        .noneMatch(other -> !other.equals(add) && mayHaveWritten(other, add));
  }

  private boolean mayHaveWritten(Entry other, Entry add) {
    if (other.operation() != Operation.ADD || add.precedes(other)) {
      return false;
    }
    return switch (other.outcome()) {
      case FAILED -> false;
      case UNKNOWN -> true;
      case SUCCESS ->
          other.addresses().equals(add.addresses())
              && calls(add.handle()).stream()
                  .noneMatch(
                      del ->
                          del.operation() == Operation.DEL
                              && del.succeeded()
                              && other.precedes(del)
                              && del.precedes(add));
    };
  }

  /** Returns the first DEL that does not precede an ADD of the same handle; null if none. */
  private @Nullable Entry nextDel(Entry add) {
    return calls(add.handle()).stream()
        .filter(it -> it.operation() == Operation.DEL && it.outcome() != Outcome.FAILED)
        .filter(it -> !it.precedes(add))
        .min(Comparator.comparingLong(Entry::start))
        .orElse(null);
  }

  /** Returns the latest revision that is known to be before a time. */
  private long revisionBefore(long time) {
    int index = Arrays.binarySearch(ends, time);
    int ended = index >= 0 ? index : -index - 1;
    while (ended > 0 && ends[ended - 1] >= time) {
      ended--;
    }
    return ended == 0 ? 0 : revision(latest[ended - 1]);
  }

  /** Checks that the handle keeps the addresses of an ADD until DEL is called. */
  private void checkHeld(Entry add) {
    Entry del = nextDel(add);
    if (del != null && !add.precedes(del)) {
      return; // concurrent
    }
    long from = revision(add);
    long to = del == null ? timelines.last() : revisionBefore(del.start());
    for (Span span : timelines.spans(add.handle())) {
      if (span.from() > from && span.from() <= to && !span.has(add.addresses())) {
        found.add(
            "%s: the handle is changed to %s at revision %d, before DEL"
                .formatted(add, text(span.addresses()), span.from()));
        return;
      }
    }
  }

  private static String text(@Nullable List<String> addresses) {
    return addresses == null ? "none" : addresses.toString();
  }

  /** An address that a client has from the end of ADD to the beginning of DEL. */
  private record Tenure(String address, Entry add, long end) {}

  /** Checks that no client has an address that another one has, by the log alone. */
  private void checkExclusiveResults() {
    Map<String, List<Tenure>> byAddress =
        byStart.stream()
            .filter(it -> it.operation() == Operation.ADD)
            .flatMap(add -> tenures(add).stream())
            .collect(Collectors.groupingBy(Tenure::address));
    for (List<Tenure> tenures : byAddress.values()) {
      List<Tenure> sorted =
          tenures.stream().sorted(Comparator.comparingLong(it -> it.add().end())).toList();
      List<Tenure> current = new ArrayList<>();
      for (Tenure tenure : sorted) {
        current.removeIf(it -> it.end() <= tenure.add().end());
        current.stream()
            .filter(it -> !it.add().handle().equals(tenure.add().handle()))
            .forEach(it -> found.add("%s and %s at a time".formatted(it.add(), tenure.add())));
        current.add(tenure);
      }
    }
  }

  private List<Tenure> tenures(Entry add) {
    Entry del = nextDel(add);
    long end = del == null ? Long.MAX_VALUE : del.start();
    String network = add.handle().substring(0, add.handle().indexOf('/') + 1);
    return end <= add.end()
        ? List.of()
        : add.addresses().stream().map(it -> new Tenure(network + it, add, end)).toList();
  }

  /** Checks that an ADD of the log explains each value of a handle. */
  private void checkWriters(String handle) {
    for (Span span : timelines.spans(handle)) {
      boolean explained =
          span.addresses() == null
              || calls(handle).stream()
                  .filter(it -> it.operation() == Operation.ADD)
                  .anyMatch(
                      add ->
                          add.outcome() == Outcome.UNKNOWN
                              || (add.succeeded() && span.has(add.addresses())));
      if (!explained) {
        found.add(
            "handle %s has %s at revision %d by no ADD"
                .formatted(handle, text(span.addresses()), span.from()));
      }
    }
  }

  /** Checks that a handle is in the end as the last calls left it. */
  private void checkEnd(String handle) {
    List<Entry> calls =
        calls(handle).stream().filter(it -> it.outcome() != Outcome.FAILED).toList();
    List<Entry> last = calls.stream().filter(it -> calls.stream().noneMatch(it::precedes)).toList();
    if (last.stream().anyMatch(it -> it.outcome() == Outcome.UNKNOWN)) {
      return;
    }
    Span span = timelines.spans(handle).getLast();
    boolean asExpected =
        last.isEmpty()
            ? span.addresses() == null
            : last.stream().anyMatch(it -> span.has(expected(it)));
    if (!asExpected) {
      found.add(
          "handle %s has %s in the end after %s".formatted(handle, text(span.addresses()), last));
    }
  }
}
