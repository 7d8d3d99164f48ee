// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.nftables;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.MalformedMessageException;
import cni.netlink.ffm.NetlinkConstants;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A socket that receives the traces of one network namespace: the path of packets through the rules
 * of nf_tables, of packets for which a rule has set {@link Expression.TraceFlag}. Not thread-safe.
 */
public final class TraceSocket implements AutoCloseable {
  private static final int SO_RCVBUFFORCE = 33;

  /**
   * Bytes that the kernel queues for this socket: thousands of events, which are 200 bytes each.
   */
  private static final int QUEUE = 4 * 1024 * 1024;

  /** Bytes of the longest datagram; the kernel sends an event with each. */
  private static final int BUFFER_SIZE = 16 * 1024;

  private final Descriptor descriptor;

  private TraceSocket(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Opens a socket in a namespace. It receives the events from then on.
   *
   * @throws KernelException if the namespace cannot be entered or the socket cannot be opened
   */
  public static TraceSocket open(NetNs namespace) throws KernelException {
    return namespace.call(TraceSocket::open);
  }

  private static TraceSocket open() throws KernelException {
    int type = Libc.SOCK_RAW | Libc.SOCK_CLOEXEC;
    int protocol = NetlinkConstants.NETLINK_NETFILTER;
    var descriptor = new Descriptor(Libc.socket(NetlinkConstants.AF_NETLINK, type, protocol));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(NetlinkConstants.SIZEOF_SOCKADDR_NL, 4);
      address.set(JAVA_SHORT, 0, (short) NetlinkConstants.AF_NETLINK);
      int fd = descriptor.fd();
      Libc.bind(fd, address);
      Libc.setsockopt(fd, Libc.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE);
      Libc.setsockopt(
          fd,
          NetlinkConstants.SOL_NETLINK,
          NetlinkConstants.NETLINK_ADD_MEMBERSHIP,
          NetlinkConstants.NFNLGRP_NFTRACE);
      return new TraceSocket(descriptor);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /**
   * Returns the events that have arrived since the last call, in their order, without waiting.
   * Those that the kernel dropped because too many were queued are missing.
   *
   * @throws MalformedMessageException if an event cannot be read
   * @throws KernelException if the socket fails
   */
  public List<TraceEvent> drain() throws IOException {
    List<TraceEvent> events = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(BUFFER_SIZE, 8);
      MemorySegment sender = arena.allocate(NetlinkConstants.SIZEOF_SOCKADDR_NL, 4);
      while (true) {
        try {
          int flags = Libc.MSG_DONTWAIT | Libc.MSG_TRUNC;
          long length = Libc.recvfrom(descriptor.fd(), buffer, flags, sender);
          boolean fromKernel = sender.get(JAVA_INT, 4) == 0;
          if (fromKernel && length <= BUFFER_SIZE) {
            read(buffer.asSlice(0, length).toArray(JAVA_BYTE), events);
          }
        } catch (KernelException e) {
          if (e.is(Errno.EAGAIN)) {
            return events;
          }
          if (!e.is(Errno.ENOBUFS) && !e.is(Errno.EINTR)) {
            throw e;
          }
        }
      }
    }
  }

  /** Reads the messages of a datagram; those of other types are ignored. */
  static void read(byte[] datagram, List<TraceEvent> events) throws MalformedMessageException {
    ByteBuffer buffer = ByteBuffer.wrap(datagram).order(ByteOrder.nativeOrder());
    int header = NetlinkConstants.NLMSG_HDRLEN;
    int offset = 0;
    while (buffer.limit() - offset >= header) {
      int length = buffer.getInt(offset);
      if (length < header || length > buffer.limit() - offset) {
        throw new MalformedMessageException("a message of length " + length);
      }
      int type = Short.toUnsignedInt(buffer.getShort(offset + 4));
      int trace = NftablesConstants.NFNL_SUBSYS_NFTABLES << 8 | NftablesConstants.NFT_MSG_TRACE;
      if (type == trace) {
        ByteBuffer message = buffer.slice(offset + header, length - header);
        events.add(TraceEvent.read(message.order(buffer.order())));
      }
      offset += NetlinkConstants.align(length);
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
