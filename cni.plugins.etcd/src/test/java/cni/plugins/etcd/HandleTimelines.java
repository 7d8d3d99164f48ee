// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The addresses of each handle at each revision.
 *
 * @param byHandle the timelines of all handles that ever existed
 * @param last the last revision of the history
 */
record HandleTimelines(Map<String, Timeline> byHandle, long last) {
  /**
   * A range of revisions in which a handle has the same addresses.
   *
   * @param from the first revision
   * @param to the revision after the last; {@link Long#MAX_VALUE} if it has not been changed
   * @param addresses its addresses, sorted as text; null if it does not exist
   */
  record Span(long from, long to, @Nullable List<String> addresses) {
    boolean has(@Nullable List<String> other) {
      return Objects.equals(addresses, other);
    }
  }

  /** The spans of a handle, which does not exist at first. */
  static final class Timeline {
    private final List<Span> spans = new ArrayList<>(List.of(new Span(0, Long.MAX_VALUE, null)));

    /** Adds a change; writing the same addresses again is none. */
    void change(long revision, @Nullable List<String> addresses) {
      Span current = spans.getLast();
      if (!current.has(addresses)) {
        spans.set(spans.size() - 1, new Span(current.from(), revision, current.addresses()));
        spans.add(new Span(revision, Long.MAX_VALUE, addresses));
      }
    }

    /** Returns the spans in the order of revisions, the last one without an end. */
    List<Span> spans() {
      return List.copyOf(spans);
    }
  }

  /** Returns the spans of a handle. */
  List<Span> spans(String handle) {
    return byHandle.getOrDefault(handle, new Timeline()).spans();
  }
}
