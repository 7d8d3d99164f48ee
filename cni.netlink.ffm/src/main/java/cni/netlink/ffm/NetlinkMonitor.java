// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/**
 * Waits for the kernel's notifications, netlink(7): those of the namespace that it was opened in,
 * and of every other namespace that has an nsid there. It reports that there were notifications,
 * not which: the caller then reads the current state, so a notification that the kernel dropped
 * does no harm. Not thread-safe.
 */
public final class NetlinkMonitor implements AutoCloseable {
  /** A longer notification is truncated, which does not matter: its content is not read. */
  private static final int BUFFER_SIZE = 4 * 1024;

  private final Descriptor descriptor;

  private NetlinkMonitor(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Starts to monitor from the network namespace of the calling thread.
   *
   * @param protocol such as {@link NetlinkConstants#NETLINK_ROUTE}
   * @param groups the numbers of its multicast groups, RTNLGRP_* of linux/rtnetlink.h
   * @throws KernelException if the socket cannot be opened, or there is no such group
   */
  public static NetlinkMonitor open(int protocol, int... groups) throws KernelException {
    int type = Libc.SOCK_RAW | Libc.SOCK_CLOEXEC;
    var descriptor = new Descriptor(Libc.socket(NetlinkConstants.AF_NETLINK, type, protocol));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(NetlinkConstants.SIZEOF_SOCKADDR_NL, 4);
      address.set(JAVA_SHORT, 0, (short) NetlinkConstants.AF_NETLINK);
      int fd = descriptor.fd();
      Libc.bind(fd, address);
      int level = NetlinkConstants.SOL_NETLINK;
      Libc.setsockopt(fd, level, NetlinkConstants.NETLINK_LISTEN_ALL_NSID, 1);
      for (int group : groups) {
        Libc.setsockopt(fd, level, NetlinkConstants.NETLINK_ADD_MEMBERSHIP, group);
      }
      return new NetlinkMonitor(descriptor);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /**
   * Waits for a notification, and discards all that have arrived.
   *
   * @param timeout how long to wait; at least a microsecond
   * @return whether there was a notification
   * @throws KernelException if the socket cannot be read any more
   */
  public boolean await(Duration timeout) throws KernelException {
    Libc.setReceiveTimeout(descriptor.fd(), timeout);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BUFFER_SIZE, 8);
      MemorySegment sender = arena.allocate(NetlinkConstants.SIZEOF_SOCKADDR_NL, 4);
      boolean notified = receive(buffer, sender, 0);
      while (notified && receive(buffer, sender, Libc.MSG_DONTWAIT)) {}
      return notified;
    }
  }

  private boolean receive(MemorySegment buffer, MemorySegment sender, int flags)
      throws KernelException {
    try {
      Libc.recvfrom(descriptor.fd(), buffer, flags, sender);
      return true;
    } catch (KernelException e) {
      if (e.is(Errno.ENOBUFS)) { // the kernel dropped notifications: there were some
        return true;
      }
      if (e.is(Errno.EAGAIN) || e.is(Errno.EINTR)) {
        return false;
      }
      throw e;
    }
  }

  /** Returns the number of the descriptor, which is readable while there are notifications. */
  public int fd() {
    return descriptor.fd();
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
