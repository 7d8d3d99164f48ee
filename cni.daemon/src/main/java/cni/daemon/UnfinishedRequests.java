// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.time.Duration;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The connections whose request is not complete, oldest first. Their number, their age and the
 * bytes that they have sent are bounded: the oldest are closed. Not thread-safe.
 */
final class UnfinishedRequests {
  /** How long a caller may take to send its request. */
  private static final Duration MAX_AGE = Duration.ofSeconds(10);

  private static final int MAX_COUNT = 256;
  private static final int MAX_BYTES = 512 << 10;

  private final Map<Long, CallerConnection> connections = new LinkedHashMap<>();

  boolean isEmpty() {
    return connections.isEmpty();
  }

  void add(CallerConnection caller) {
    connections.put(caller.number(), caller);
    if (connections.size() > MAX_COUNT) {
      closeOldest();
    }
  }

  Optional<CallerConnection> find(long number) {
    return Optional.ofNullable(connections.get(number));
  }

  void remove(CallerConnection caller) {
    connections.remove(caller.number());
  }

  /** Closes the oldest connection if all have sent too much. */
  void boundBytes() {
    int bytes = connections.values().stream().mapToInt(CallerConnection::receivedBytes).sum();
    if (bytes > MAX_BYTES) {
      closeOldest();
    }
  }

  /** Closes the connections whose request takes too long. */
  void closeLate() {
    long now = System.nanoTime();
    while (!connections.isEmpty()
        && now - connections.values().iterator().next().opened() >= MAX_AGE.toNanos()) {
      closeOldest();
    }
  }

  /** Closes the oldest connection; returns whether there was one. */
  boolean closeOldest() {
    Iterator<CallerConnection> oldest = connections.values().iterator();
    if (!oldest.hasNext()) {
      return false;
    }
    CallerConnection caller = oldest.next();
    oldest.remove();
    caller.close();
    return true;
  }

  void closeAll() {
    connections.values().forEach(CallerConnection::close);
    connections.clear();
  }
}
