// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The history of keys that {@link AllocationHistory} checks. */
@FunctionalInterface
interface HistorySource {
  /**
   * A change of a key.
   *
   * @param value its new value; null if it is deleted
   */
  record Event(String key, @Nullable String value) {}

  /**
   * The changes of one transaction.
   *
   * @param number the revision of the whole store after it
   */
  record Revision(long number, List<Event> events) {
    public Revision {
      events = List.copyOf(events);
    }
  }

  /** Returns the history in ascending order of revisions. */
  List<Revision> read() throws IOException, InterruptedException;
}
