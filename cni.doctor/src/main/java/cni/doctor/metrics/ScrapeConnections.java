// SPDX-License-Identifier: Apache-2.0
package cni.doctor.metrics;

import cni.api.internal.LazyLogger;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;

/**
 * The open connections of the metrics endpoint, of which there is a limited number. A connection is
 * idle until its request has arrived; a new one takes the place of the one that has been idle for
 * the longest time, so that clients that send nothing cannot keep a scraper out.
 */
final class ScrapeConnections {
  private static final LazyLogger LOG = new LazyLogger("cni.doctor");

  private final int limit;
  private final Set<SocketChannel> idle = new LinkedHashSet<>();
  private final Set<SocketChannel> answering = new LinkedHashSet<>();

  ScrapeConnections(int limit) {
    this.limit = limit;
  }

  /**
   * Admits a connection, which is idle. Closes the oldest idle one if there is no room.
   *
   * @return false if all others are being answered
   */
  boolean admit(SocketChannel connection) {
    Optional<SocketChannel> replaced = Optional.empty();
    synchronized (this) {
      if (idle.size() + answering.size() >= limit) {
        Iterator<SocketChannel> oldest = idle.iterator();
        if (!oldest.hasNext()) {
          return false;
        }
        replaced = Optional.of(oldest.next());
        oldest.remove();
      }
      idle.add(connection);
    }
    replaced.ifPresent(ScrapeConnections::close);
    return true;
  }

  /** Marks a connection as one whose request has arrived, unless it has been closed. */
  synchronized void setAnswering(SocketChannel connection) {
    if (idle.remove(connection)) {
      answering.add(connection);
    }
  }

  /** Removes a connection that has ended. */
  synchronized void remove(SocketChannel connection) {
    idle.remove(connection);
    answering.remove(connection);
  }

  /** Closes a connection, also one that another thread waits for. */
  static void close(SocketChannel connection) {
    try {
      connection.close();
    } catch (IOException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "a connection is not closed: " + e.getMessage());
    }
  }
}
