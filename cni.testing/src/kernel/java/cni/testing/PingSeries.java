// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * ICMP echo requests at intervals of about 1 ms that count those that were not answered.
 *
 * <p>{@code ping -i 0.001} is not used: it spins between packets and gives way by sched_yield(2),
 * which makes Linux 6.18 let every task that wakes up wait for seconds on a busy machine.
 */
final class PingSeries implements AutoCloseable {
  private static final Duration INTERVAL = Duration.ofMillis(1);

  /** At most a second: the JDK sends another request after that. */
  private static final int REPLY_MILLIS = 1000;

  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  /** The replies that show that traffic flows. */
  private static final int REQUIRED_REPLIES = 20;

  private final String address;
  private final InetAddress target;
  private final NetNs.PendingTask<Boolean, RuntimeException> task;
  private volatile boolean closed;

  /** Guarded by this, as the others: requests are counted from the first answered one. */
  private int answered;

  private int lost;
  private int firstLost;

  private PingSeries(NetNs netns, String address) {
    this.address = address;
    target = InetAddress.ofLiteral(address);
    task = netns.submit(this::run);
  }

  /** Starts to send. */
  static PingSeries start(NetNs netns, String address) {
    return new PingSeries(netns, address);
  }

  /** Sends until this is closed, and returns true. */
  private boolean run() {
    while (!closed) {
      note(isReachable());
      LockSupport.parkNanos(INTERVAL.toNanos());
    }
    return true;
  }

  private boolean isReachable() {
    try {
      return target.isReachable(REPLY_MILLIS);
    } catch (IOException e) { // there is no route, or a rule refuses the packet
      return false;
    }
  }

  private synchronized void note(boolean reply) {
    if (reply) {
      answered++;
      notifyAll();
    } else if (answered > 0) {
      firstLost = lost == 0 ? answered : firstLost;
      lost++;
    }
  }

  /**
   * Waits until packets are answered. The first ones may be lost while neighbours are resolved; the
   * count starts with the first reply.
   *
   * @throws AssertionError if they are not
   */
  void awaitFirst() {
    if (!awaitMore()) {
      throw new AssertionError("no reply to ping of " + address);
    }
  }

  /** Waits for further replies and returns whether there are. */
  private synchronized boolean awaitMore() {
    int wanted = answered + REQUIRED_REPLIES;
    long end = System.nanoTime() + TIMEOUT.toNanos();
    try {
      while (answered < wanted) {
        long rest = Duration.ofNanos(end - System.nanoTime()).toMillis();
        if (rest <= 0) {
          return false;
        }
        wait(rest);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
    return true;
  }

  /** Returns what was lost since the first reply; empty if nothing. */
  synchronized List<String> losses() {
    boolean flows = awaitMore();
    if (!flows) {
      return List.of("ping %s: no more replies after %d".formatted(address, answered));
    }
    return lost == 0
        ? List.of()
        : List.of(
            "ping %s: %d of %d packets lost, the first after %d replies"
                .formatted(address, lost, answered + lost, firstLost));
  }

  @Override
  public void close() {
    closed = true;
    try {
      task.join();
    } catch (KernelException e) {
      throw new UncheckedIOException(e);
    }
  }
}
