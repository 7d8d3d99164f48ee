package cni.netlink.ffm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/**
 * Waits for notifications of the kernel, netlink(7): of the namespace that it was opened in, and of
 * every other that has a number there. It tells that there were some, not which: whoever waits
 * looks at what there is now, and so need not care whether any was lost. For one thread at a time.
 */
public final class NetlinkMonitor implements AutoCloseable {
  private static final int SOCK_RAW_CLOEXEC = 3 | 0x80000;
  private static final int SOL_SOCKET = 1;
  private static final int SO_RCVTIMEO = 20;
  private static final int MSG_DONTWAIT = 0x40;
  private static final int SOCKADDR_NL = 12;

  /** A notification that does not fit is cut, which does not matter. */
  private static final int BUFFER_SIZE = 4 * 1024;

  private final Descriptor descriptor;

  private NetlinkMonitor(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Begins to watch from the network namespace of the calling thread.
   *
   * @param protocol such as {@link NetlinkConstants#NETLINK_ROUTE}
   * @param groups the numbers of its multicast groups, RTNLGRP_* of linux/rtnetlink.h
   * @throws KernelException if the socket cannot be opened, or there is no such group
   */
  public static NetlinkMonitor open(int protocol, int... groups) throws KernelException {
    var descriptor =
        new Descriptor(Libc.socket(NetlinkConstants.AF_NETLINK, SOCK_RAW_CLOEXEC, protocol));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(SOCKADDR_NL, 4);
      address.set(JAVA_SHORT, 0, (short) NetlinkConstants.AF_NETLINK);
      Libc.bind(descriptor.fd(), address);
      int level = NetlinkConstants.SOL_NETLINK;
      MemorySegment on = arena.allocateFrom(JAVA_INT, 1);
      Libc.setsockopt(descriptor.fd(), level, NetlinkConstants.NETLINK_LISTEN_ALL_NSID, on);
      for (int group : groups) {
        MemorySegment number = arena.allocateFrom(JAVA_INT, group);
        Libc.setsockopt(descriptor.fd(), level, NetlinkConstants.NETLINK_ADD_MEMBERSHIP, number);
      }
      return new NetlinkMonitor(descriptor);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /**
   * Waits for a notification, and takes all that have come.
   *
   * @param patience how long; at least a microsecond
   * @return whether there was one
   * @throws KernelException if the socket cannot be read any more
   */
  public boolean await(Duration patience) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long micros = Math.max(1, patience.toNanos() / 1000);
      MemorySegment timeval = arena.allocateFrom(JAVA_LONG, micros / 1_000_000, micros % 1_000_000);
      Libc.setsockopt(descriptor.fd(), SOL_SOCKET, SO_RCVTIMEO, timeval);
      MemorySegment buffer = arena.allocate(BUFFER_SIZE, 8);
      MemorySegment sender = arena.allocate(SOCKADDR_NL, 4);
      boolean any = receive(buffer, sender, 0);
      while (any && receive(buffer, sender, MSG_DONTWAIT)) {}
      return any;
    }
  }

  private boolean receive(MemorySegment buffer, MemorySegment sender, int flags)
      throws KernelException {
    try {
      Libc.recvfrom(descriptor.fd(), buffer, flags, sender);
      return true;
    } catch (KernelException e) {
      if (e.is(Errno.ENOBUFS)) { // more than fit: there were some
        return true;
      }
      if (e.is(Errno.EAGAIN) || e.is(Errno.EINTR)) {
        return false;
      }
      throw e;
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
