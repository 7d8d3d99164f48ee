package cni.netlink.ffm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A netlink socket, netlink(7). It belongs for ever to the namespace that it was opened in, so any
 * thread may use it; exchanges of several threads take turns.
 */
public final class NetlinkSocket implements AutoCloseable {
  private static final int SOCK_RAW_CLOEXEC = 3 | 0x80000;
  private static final int SOL_SOCKET = 1;
  private static final int SO_RCVTIMEO = 20;
  private static final int SO_SNDBUFFORCE = 32;

  /** What fits without asking, in bytes: half of the usual net.core.wmem_default. */
  private static final int DEFAULT_SEND_BUFFER = 96 * 1024;

  private static final int MSG_TRUNC = 0x20;
  private static final int MSG_DONTWAIT = 0x40;
  private static final int QUEUE_EMPTY = -1;

  /** sizeof(struct sockaddr_nl): family u16, pad u16, port u32, groups u32. */
  private static final int SOCKADDR_NL = 12;

  /** The kernel never puts more than this into one part of a dump (netlink_dump, af_netlink.c). */
  private static final int DUMP_BUFFER = 32 * 1024;

  /** For anything else. A link takes some 1500 bytes; what takes more is asked for once more. */
  private static final int RECEIVE_BUFFER = 8 * 1024;

  private static final int MAX_RECEIVE_BUFFER = 4 * 1024 * 1024;

  /**
   * All answers to a batch wait in the socket until the last request has been treated, and the
   * kernel drops what does not fit: some 250 refusals or 48 links fill the usual buffer of 208 KiB.
   */
  private static final int MAX_BATCH = 32;

  /** How often a dump is begun again because the kernel's tables changed meanwhile. */
  private static final int DUMP_ATTEMPTS = 20;

  /** The pause after the first of them; each one is longer by as much. */
  private static final long DUMP_BACKOFF_NANOS = 500_000;

  private final ReentrantLock lock = new ReentrantLock();
  private final Descriptor descriptor;
  private final int port;
  private int sequence = 1;
  private int sendBuffer = DEFAULT_SEND_BUFFER;

  /** Whether an exchange is under way, or has ended before its end; guarded by the turn. */
  private boolean open;

  private NetlinkSocket(Descriptor descriptor, int port) {
    this.descriptor = descriptor;
    this.port = port;
  }

  /**
   * Opens a socket in the network namespace of the calling thread.
   *
   * @param protocol such as {@link NetlinkConstants#NETLINK_ROUTE}
   * @param patience how long the kernel may take to answer; it answers at once, unless the machine
   *     is in trouble
   * @throws KernelException if it cannot be opened
   */
  public static NetlinkSocket open(int protocol, Duration patience) throws KernelException {
    var descriptor =
        new Descriptor(Libc.socket(NetlinkConstants.AF_NETLINK, SOCK_RAW_CLOEXEC, protocol));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = arena.allocate(SOCKADDR_NL, 4);
      address.set(JAVA_SHORT, 0, (short) NetlinkConstants.AF_NETLINK);
      Libc.bind(descriptor.fd(), address);
      Libc.getsockname(descriptor.fd(), address);
      MemorySegment on = arena.allocateFrom(JAVA_INT, 1);
      int level = NetlinkConstants.SOL_NETLINK;
      Libc.setsockopt(descriptor.fd(), level, NetlinkConstants.NETLINK_EXT_ACK, on);
      Libc.setsockopt(descriptor.fd(), level, NetlinkConstants.NETLINK_CAP_ACK, on);
      setStrictChecking(descriptor, on);
      long micros = Math.max(1, patience.toNanos() / 1000);
      MemorySegment timeval = arena.allocateFrom(JAVA_LONG, micros / 1_000_000, micros % 1_000_000);
      Libc.setsockopt(descriptor.fd(), SOL_SOCKET, SO_RCVTIMEO, timeval);
      return new NetlinkSocket(descriptor, address.get(JAVA_INT, 4));
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Has dumps filtered by what the request names; a kernel before 4.20 cannot. */
  private static void setStrictChecking(Descriptor descriptor, MemorySegment on)
      throws KernelException {
    try {
      Libc.setsockopt(
          descriptor.fd(),
          NetlinkConstants.SOL_NETLINK,
          NetlinkConstants.NETLINK_GET_STRICT_CHK,
          on);
    } catch (KernelException e) {
      if (!e.is(Errno.ENOPROTOOPT)) {
        throw e;
      }
    }
  }

  /**
   * Opens a socket in a namespace.
   *
   * @throws KernelException if the namespace cannot be entered or the socket not be opened
   */
  public static NetlinkSocket open(NetNs namespace, int protocol, Duration patience)
      throws KernelException {
    return namespace.call(() -> open(protocol, patience));
  }

  /**
   * Has the kernel do one thing.
   *
   * @return what it sent before its acknowledgement
   * @throws NetlinkException if it refuses
   * @throws IOException if it cannot be asked
   */
  public List<ByteBuffer> execute(NetlinkRequest request) throws IOException {
    return request.isDump() ? dump(request) : exchange(List.of(request)).getFirst().orThrow();
  }

  /**
   * Sends several requests in one go. The kernel treats each of them, whatever became of those
   * before.
   *
   * @return the answers, in the order of the requests
   * @throws IOException if the kernel cannot be asked
   */
  public List<NetlinkResponse> exchange(List<NetlinkRequest> requests) throws IOException {
    for (NetlinkRequest request : requests) {
      if (request.isDump()) {
        throw new IllegalArgumentException("a dump cannot be one of several requests");
      }
    }
    List<NetlinkResponse> answers = new ArrayList<>(requests.size());
    for (int i = 0; i < requests.size(); i += MAX_BATCH) {
      int end = Math.min(requests.size(), i + MAX_BATCH);
      answers.addAll(receiveAll(requests.subList(i, end)).responses());
    }
    return answers;
  }

  /**
   * Has netfilter do several things as one transaction, with one send and, if all goes well, one
   * receive: either all of them are done or none.
   *
   * @param batch the requests between NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END
   * @throws NetlinkException the first refusal, that of the request that caused it
   * @throws IOException if the kernel cannot be asked
   */
  public void transact(List<NetlinkRequest> batch) throws IOException {
    lock.lock();
    try {
      open = true;
      ResponseCollector reception = sendAll(batch, true);
      if (receive(reception, RECEIVE_BUFFER) > RECEIVE_BUFFER) {
        throw new MalformedMessageException(reception.description() + ": an answer was cut");
      }
      open = false;
      Optional<NetlinkException> error = reception.firstError();
      if (error.isPresent()) {
        throw error.get();
      }
    } finally {
      lock.unlock();
    }
  }

  private ResponseCollector sendAll(List<NetlinkRequest> requests, boolean batch)
      throws KernelException {
    var reception = new ResponseCollector(requests, batch, port, sequence);
    sequence += requests.size();
    send(reception);
    return reception;
  }

  /** A list may change while the kernel tells it; it says so, and the list is asked for again. */
  private List<ByteBuffer> dump(NetlinkRequest request) throws IOException {
    for (int attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      ResponseCollector reception = receiveAll(List.of(request));
      if (!reception.isInterrupted()) {
        return reception.responses().getFirst().orThrow();
      }
      LockSupport.parkNanos(attempt * DUMP_BACKOFF_NANOS);
    }
    throw new KernelException(
        Errno.EAGAIN, request.description() + ": it changed during each of 20 attempts");
  }

  private ResponseCollector receiveAll(List<NetlinkRequest> requests) throws IOException {
    lock.lock();
    try {
      int size = requests.getFirst().isDump() ? DUMP_BUFFER : RECEIVE_BUFFER;
      open = true;
      while (true) {
        ResponseCollector reception = sendAll(requests, false);
        int needed = receive(reception, size);
        if (needed <= size) {
          open = false;
          return reception;
        }
        if (needed > MAX_RECEIVE_BUFFER || !reception.isRepeatable()) {
          throw new MalformedMessageException(
              requests.getFirst().description() + ": an answer of " + needed + " bytes was cut");
        }
        size = Math.max(needed, 2 * size);
      }
    } finally {
      lock.unlock();
    }
  }

  private void send(ResponseCollector reception) throws KernelException {
    byte[] bytes = reception.encode();
    try (Arena arena = Arena.ofConfined()) {
      if (bytes.length > sendBuffer) {
        // Beyond net.core.wmem_max, as nft does it: a transaction cannot be sent in parts.
        MemorySegment size = arena.allocateFrom(JAVA_INT, bytes.length);
        Libc.setsockopt(descriptor.fd(), SOL_SOCKET, SO_SNDBUFFORCE, size);
        sendBuffer = bytes.length;
      }
      MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
      while (true) {
        try {
          long sent = Libc.sendto(descriptor.fd(), data);
          if (sent != bytes.length) {
            throw new KernelException(Errno.ENOBUFS, "send: only " + sent + " bytes were taken");
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
   * Receives until every request has been answered.
   *
   * @return the length of the longest datagram; if it is more than {@code size}, that one was cut
   */
  private int receive(ResponseCollector reception, int size) throws IOException {
    int longest = 0;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment buffer = arena.allocate(size, 8);
      MemorySegment sender = arena.allocate(SOCKADDR_NL, 4);
      while (!reception.isComplete()) {
        boolean cut = longest > size;
        int length = receiveOne(buffer, sender, cut, reception);
        if (length == QUEUE_EMPTY) {
          break;
        }
        longest = Math.max(longest, length);
        boolean fromKernel = sender.get(JAVA_INT, 4) == 0; // any process may send to a port
        if (fromKernel && length <= size) {
          byte[] copy = buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
          reception.accept(ByteBuffer.wrap(copy).order(ByteOrder.nativeOrder()));
        }
      }
    }
    return longest;
  }

  /**
   * Receives a datagram. Once one has been cut, the rest is only drained: the kernel queues each
   * part of an answer before it hands out the one before, so that an empty queue is the end.
   */
  private int receiveOne(
      MemorySegment buffer, MemorySegment sender, boolean draining, ResponseCollector reception)
      throws KernelException {
    int flags = draining ? MSG_TRUNC | MSG_DONTWAIT : MSG_TRUNC;
    while (true) {
      try {
        return (int) Libc.recvfrom(descriptor.fd(), buffer, flags, sender);
      } catch (KernelException e) {
        if (e.is(Errno.EAGAIN) && draining) {
          return QUEUE_EMPTY;
        }
        if (e.is(Errno.ENOBUFS)) {
          drain(buffer, sender); // until it is empty the kernel drops more
        }
        if (!e.is(Errno.EINTR)) {
          throw e.is(Errno.EAGAIN)
              ? new KernelException(e.errno(), reception.description() + ": no answer in time")
              : e;
        }
      }
    }
  }

  private void drain(MemorySegment buffer, MemorySegment sender) {
    try {
      while (Libc.recvfrom(descriptor.fd(), buffer, MSG_DONTWAIT, sender) >= 0) {}
    } catch (KernelException e) {
      return; // EAGAIN: it is empty
    }
  }

  /**
   * Whether every exchange so far has been received to its end. After one that has not, the kernel
   * may still be busy with it, and the socket should not be used for others.
   */
  public boolean isReusable() {
    lock.lock();
    try {
      return !open;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
