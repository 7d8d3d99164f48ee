// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A netlink socket, netlink(7). It always belongs to the network namespace that it was opened in,
 * whichever thread uses it. Thread-safe: a lock serializes exchanges.
 */
public final class NetlinkSocket implements AutoCloseable {
  private static final int SO_SNDBUF = 7;
  private static final int SO_SNDBUFFORCE = 32;

  /**
   * The length of datagrams up to which the send buffer is not enlarged. It fits into the usual
   * buffer, net.core.wmem_default, of 212,992 bytes.
   */
  private static final int DEFAULT_SEND_BUFFER = 96 * 1024;

  private static final int QUEUE_EMPTY = -1;

  /** The kernel dropped responses for which the buffer had no room; those before are queued. */
  private static final int OVERRUN = -2;

  /** The largest part of a dump that the kernel sends at once (netlink_dump, af_netlink.c). */
  private static final int DUMP_BUFFER = 32 * 1024;

  /**
   * The buffer for responses other than dumps, at first. A link takes about 1500 bytes; a response
   * that does not fit is requested again with a larger buffer.
   */
  private static final int RECEIVE_BUFFER = 8 * 1024;

  private static final int MAX_RECEIVE_BUFFER = 4 * 1024 * 1024;

  /**
   * The number of requests sent in one datagram. Their responses accumulate in the socket until the
   * kernel has handled the last request, and it drops those that do not fit: some 250 errors or 48
   * links fill the usual buffer of 208 KiB.
   */
  private static final int MAX_REQUESTS_PER_DATAGRAM = 32;

  /**
   * The maximum number of attempts at a dump; it is repeated if the kernel's tables change
   * meanwhile.
   */
  private static final int DUMP_ATTEMPTS = 20;

  /** The pause before the first repetition, by which each further pause grows. */
  private static final long DUMP_BACKOFF_NANOS = 500_000;

  private final ReentrantLock lock = new ReentrantLock();
  private final Descriptor descriptor;
  private final int port;
  private int sequence = 1;
  private int sendBuffer = DEFAULT_SEND_BUFFER;

  /** Whether an exchange is in progress or was abandoned; guarded by {@link #lock}. */
  private boolean incomplete;

  private NetlinkSocket(Descriptor descriptor, int port) {
    this.descriptor = descriptor;
    this.port = port;
  }

  /**
   * Opens a socket in the network namespace of the calling thread.
   *
   * @param protocol such as {@link NetlinkConstants#NETLINK_ROUTE}
   * @param timeout how long to wait for a response, which usually arrives immediately
   * @throws KernelException if it cannot be opened
   */
  public static NetlinkSocket open(int protocol, Duration timeout) throws KernelException {
    int type = Libc.SOCK_RAW | Libc.SOCK_CLOEXEC;
    var descriptor = new Descriptor(Libc.socket(NetlinkConstants.AF_NETLINK, type, protocol));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(NetlinkConstants.SIZEOF_SOCKADDR_NL, 4);
      address.set(JAVA_SHORT, 0, (short) NetlinkConstants.AF_NETLINK);
      int fd = descriptor.fd();
      Libc.bind(fd, address);
      Libc.getsockname(fd, address);
      Libc.setsockopt(fd, NetlinkConstants.SOL_NETLINK, NetlinkConstants.NETLINK_EXT_ACK, 1);
      Libc.setsockopt(fd, NetlinkConstants.SOL_NETLINK, NetlinkConstants.NETLINK_CAP_ACK, 1);
      enableStrictChecking(fd);
      Libc.setReceiveTimeout(fd, timeout);
      return new NetlinkSocket(descriptor, address.get(JAVA_INT, 4));
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Makes the kernel filter dumps by the fields of the request, if it has this option. */
  private static void enableStrictChecking(int fd) throws KernelException {
    try {
      int option = NetlinkConstants.NETLINK_GET_STRICT_CHK;
      Libc.setsockopt(fd, NetlinkConstants.SOL_NETLINK, option, 1);
    } catch (KernelException e) {
      if (!e.is(Errno.ENOPROTOOPT)) {
        throw e;
      }
    }
  }

  /**
   * Sends one request and waits for the response. A dump that the kernel reports as inconsistent is
   * repeated.
   *
   * @return the messages that the kernel sent before its acknowledgement, without their headers
   * @throws NetlinkException if the kernel refuses the request
   * @throws IOException if the exchange fails: EAGAIN if there is no response in time
   */
  public List<ByteBuffer> execute(NetlinkRequest request) throws IOException {
    return request.isDump() ? dump(request) : exchange(List.of(request)).getFirst().orThrow();
  }

  /**
   * Sends several requests, none of them a dump, in as few datagrams as possible. The kernel
   * handles each of them, even after an error of an earlier one.
   *
   * @return the responses, in the order of the requests
   * @throws IOException if the exchange fails; some of the requests may have taken effect
   */
  public List<NetlinkResponse> exchange(List<NetlinkRequest> requests) throws IOException {
    for (NetlinkRequest request : requests) {
      if (request.isDump()) {
        throw new IllegalArgumentException("a dump cannot be one of several requests");
      }
    }
    List<NetlinkResponse> responses = new ArrayList<>(requests.size());
    for (int i = 0; i < requests.size(); i += MAX_REQUESTS_PER_DATAGRAM) {
      int end = Math.min(requests.size(), i + MAX_REQUESTS_PER_DATAGRAM);
      responses.addAll(exchangeDatagram(requests.subList(i, end)).responses());
    }
    return responses;
  }

  /**
   * Executes a netfilter batch: the kernel applies all its requests or none. It takes one send and,
   * if it succeeds, one receive.
   *
   * @param batch the requests, framed by NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END
   * @throws NetlinkException the first error, with the description of the request that caused it
   * @throws IOException if the exchange fails; the batch may have been applied
   */
  public void transact(List<NetlinkRequest> batch) throws IOException {
    lock.lock();
    try {
      incomplete = true;
      ResponseCollector collector = send(batch, true);
      if (receive(collector, RECEIVE_BUFFER) > RECEIVE_BUFFER) {
        throw new MalformedMessageException(
            collector.description() + ": the response was truncated");
      }
      incomplete = false;
      Optional<NetlinkException> error = collector.firstError();
      if (error.isPresent()) {
        throw error.get();
      }
      if (!collector.isComplete()) {
        throw new KernelException(Errno.ENOBUFS, collector.description());
      }
    } finally {
      lock.unlock();
    }
  }

  private List<ByteBuffer> dump(NetlinkRequest request) throws IOException {
    for (int attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      ResponseCollector collector = exchangeDatagram(List.of(request));
      if (!collector.isInterrupted()) {
        return collector.responses().getFirst().orThrow();
      }
      LockSupport.parkNanos(attempt * DUMP_BACKOFF_NANOS);
    }
    throw new KernelException(
        Errno.EAGAIN,
        request.description() + ": it changed during each of " + DUMP_ATTEMPTS + " attempts");
  }

  /**
   * Sends requests in one datagram and receives all responses; repeats that with a larger buffer if
   * one did not fit.
   */
  private ResponseCollector exchangeDatagram(List<NetlinkRequest> requests) throws IOException {
    lock.lock();
    try {
      int size = requests.getFirst().isDump() ? DUMP_BUFFER : RECEIVE_BUFFER;
      incomplete = true;
      while (true) {
        ResponseCollector collector = send(requests, false);
        int needed = receive(collector, size);
        if (needed <= size) {
          incomplete = false;
          return collector;
        }
        if (needed > MAX_RECEIVE_BUFFER || !collector.isRepeatable()) {
          throw new MalformedMessageException(
              collector.description() + ": a response of " + needed + " bytes was truncated");
        }
        size = Math.max(needed, 2 * size);
      }
    } finally {
      lock.unlock();
    }
  }

  private ResponseCollector send(List<NetlinkRequest> requests, boolean netfilterBatch)
      throws KernelException {
    var collector = new ResponseCollector(requests, netfilterBatch, port, sequence);
    sequence += requests.size();
    send(collector.encode());
    return collector;
  }

  private void send(byte[] bytes) throws KernelException {
    if (bytes.length > sendBuffer) {
      enlargeSendBuffer(bytes.length);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocateFrom(JAVA_BYTE, bytes);
      while (true) {
        try {
          long sent = Libc.sendto(descriptor.fd(), data);
          if (sent != bytes.length) {
            throw new KernelException(Errno.ENOBUFS, "send: only " + sent + " bytes were sent");
          }
          return;
        } catch (KernelException e) {
          if (!e.is(Errno.EINTR)) {
            throw e;
          }
        }
      }
    }
  }

  /**
   * Enlarges the buffer beyond net.core.wmem_max, as nft does: a transaction cannot be sent in
   * parts. Without CAP_NET_ADMIN in the initial user namespace (EPERM) the buffer grows to twice
   * that limit at most; a transaction that does not fit fails with EMSGSIZE.
   */
  private void enlargeSendBuffer(int length) throws KernelException {
    try {
      Libc.setsockopt(descriptor.fd(), Libc.SOL_SOCKET, SO_SNDBUFFORCE, length);
    } catch (KernelException e) {
      if (!e.is(Errno.EPERM)) {
        throw e;
      }
      Libc.setsockopt(descriptor.fd(), Libc.SOL_SOCKET, SO_SNDBUF, length);
    }
    sendBuffer = length;
  }

  /**
   * Receives until every request has its response. Of a batch with more errors than fit into the
   * socket's buffer only the first ones are received, which are those that matter.
   *
   * @return the length of the longest datagram; if it is more than {@code size}, it was truncated
   */
  private int receive(ResponseCollector collector, int size) throws IOException {
    int longest = 0;
    boolean overrun = false;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(size, 8);
      MemorySegment sender = arena.allocate(NetlinkConstants.SIZEOF_SOCKADDR_NL, 4);
      while (!collector.isComplete()) {
        boolean draining = overrun || longest > size;
        int length = receiveDatagram(buffer, sender, draining, collector);
        if (length == QUEUE_EMPTY) {
          break;
        }
        if (length == OVERRUN) {
          overrun = true;
          continue;
        }
        longest = Math.max(longest, length);
        boolean fromKernel = sender.get(JAVA_INT, 4) == 0; // any process may send to this port
        if (fromKernel && length <= size) {
          byte[] copy = buffer.asSlice(0, length).toArray(JAVA_BYTE);
          collector.accept(ByteBuffer.wrap(copy).order(ByteOrder.nativeOrder()));
        }
      }
    }
    return longest;
  }

  /**
   * Receives a datagram. After a truncated one the rest is only drained: the kernel queues each
   * part of a response before it delivers the previous one, so an empty queue marks the end.
   */
  private int receiveDatagram(
      MemorySegment buffer, MemorySegment sender, boolean draining, ResponseCollector collector)
      throws KernelException {
    int flags = draining ? Libc.MSG_TRUNC | Libc.MSG_DONTWAIT : Libc.MSG_TRUNC;
    while (true) {
      try {
        return (int) Libc.recvfrom(descriptor.fd(), buffer, flags, sender);
      } catch (KernelException e) {
        if (e.is(Errno.EAGAIN) && draining) {
          return QUEUE_EMPTY;
        }
        if (e.is(Errno.ENOBUFS) && collector.isBatch()) {
          return OVERRUN;
        }
        if (e.is(Errno.ENOBUFS)) {
          drain(buffer, sender); // the kernel drops further messages until the queue is empty
        }
        if (!e.is(Errno.EINTR)) {
          throw e.is(Errno.EAGAIN)
              ? new KernelException(e.errno(), collector.description() + ": no response in time")
              : e;
        }
      }
    }
  }

  private void drain(MemorySegment buffer, MemorySegment sender) {
    try {
      while (Libc.recvfrom(descriptor.fd(), buffer, Libc.MSG_DONTWAIT, sender) >= 0) {}
    } catch (KernelException e) {
      return; // EAGAIN: it is empty
    }
  }

  /**
   * Returns whether every exchange so far has been received completely. After one that was not, the
   * kernel may still be busy with it, and the socket should be closed instead of used again.
   */
  public boolean isReusable() {
    lock.lock();
    try {
      return !incomplete;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
