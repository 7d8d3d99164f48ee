// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.unix;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetlinkMonitor;
import cni.netlink.ffm.file.InotifyWatch;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcProcess;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.packet.ArpSocket;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;

/**
 * Waits for many sockets at once, epoll(7). A socket is known by a number that the caller chooses;
 * it leaves the set when it is closed. One thread waits; any thread may add sockets and wake it.
 */
public final class SocketPoller implements AutoCloseable {
  private static final int MAX_EVENTS = 64;
  private static final long WAKE_UP = -1;

  private final Descriptor epoll;
  private final Descriptor wakeUp;

  private SocketPoller(Descriptor epoll, Descriptor wakeUp) {
    this.epoll = epoll;
    this.wakeUp = wakeUp;
  }

  /** Creates a poller without sockets. */
  public static SocketPoller open() throws KernelException {
    var epoll = new Descriptor(LibcSocket.epollCreate());
    try {
      var wakeUp = new Descriptor(LibcSocket.eventfd());
      try {
        LibcSocket.epollAdd(epoll.fd(), wakeUp.fd(), LibcSocket.EPOLLIN, WAKE_UP);
        return new SocketPoller(epoll, wakeUp);
      } catch (KernelException e) {
        wakeUp.close();
        throw e;
      }
    } catch (KernelException e) {
      epoll.close();
      throw e;
    }
  }

  /**
   * Adds a listener, which is ready while a connection waits to be accepted.
   *
   * @param number zero or positive
   */
  public void add(UnixListener listener, long number) throws KernelException {
    LibcSocket.epollAdd(epoll.fd(), listener.fd(), LibcSocket.EPOLLIN, number);
  }

  /**
   * Adds a watch, which is ready while there are changes; for ever once changes are unknown.
   *
   * @param number zero or positive
   */
  public void add(InotifyWatch watch, long number) throws KernelException {
    LibcSocket.epollAdd(epoll.fd(), watch.fd(), LibcSocket.EPOLLIN, number);
  }

  /**
   * Adds a monitor, which is ready while there are notifications.
   *
   * @param number zero or positive
   */
  public void add(NetlinkMonitor monitor, long number) throws KernelException {
    LibcSocket.epollAdd(epoll.fd(), monitor.fd(), LibcSocket.EPOLLIN, number);
  }

  /**
   * Adds a socket, which is ready while there are packets.
   *
   * @param number zero or positive
   */
  public void add(ArpSocket socket, long number) throws KernelException {
    LibcSocket.epollAdd(epoll.fd(), socket.fd(), LibcSocket.EPOLLIN, number);
  }

  /**
   * Adds a connection, which is ready while there is something to receive or the other end is
   * closed.
   *
   * @param number zero or positive
   */
  public void add(UnixConnection connection, long number) throws KernelException {
    int events = LibcSocket.EPOLLIN | LibcSocket.EPOLLRDHUP;
    LibcSocket.epollAdd(epoll.fd(), connection.fd(), events, number);
  }

  /**
   * Makes a connection ready only when the other end is closed, once, whatever else it sends.
   *
   * @param number as it was added
   */
  public void watchHangUp(UnixConnection connection, long number) throws KernelException {
    int events = LibcSocket.EPOLLRDHUP | LibcSocket.EPOLLONESHOT;
    LibcSocket.epollModify(epoll.fd(), connection.fd(), events, number);
  }

  /**
   * Waits until a socket is ready or {@link #wakeUp} is called.
   *
   * @param timeout absent to wait without a limit
   * @return the numbers of the sockets that are ready; may be empty
   */
  public long[] await(Optional<Duration> timeout) throws KernelException {
    int millis = timeout.map(it -> (int) Math.min(it.toMillis() + 1, Integer.MAX_VALUE)).orElse(-1);
    long[] ready = LibcSocket.epollWait(epoll.fd(), MAX_EVENTS, millis);
    int kept = 0;
    for (long number : ready) {
      if (number == WAKE_UP) {
        resetWakeUp();
      } else {
        ready[kept++] = number;
      }
    }
    return Arrays.copyOf(ready, kept);
  }

  private void resetWakeUp() throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      Libc.readNonBlocking(wakeUp.fd(), arena.allocate(JAVA_LONG));
    }
  }

  /** Makes {@link #await} return. */
  public void wakeUp() throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment one = arena.allocateFrom(JAVA_LONG, 1);
      LibcProcess.write(wakeUp.fd(), one);
    }
  }

  @Override
  public void close() {
    wakeUp.close();
    epoll.close();
  }
}
