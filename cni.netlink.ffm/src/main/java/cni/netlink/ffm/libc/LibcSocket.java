// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import static cni.netlink.ffm.libc.CFunction.pointer;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Stream sockets, descriptors passed through them, and epoll(7). */
public final class LibcSocket {
  // sys/socket.h
  public static final int SOCK_STREAM = 1;
  public static final int SOCK_NONBLOCK = 0x800;
  public static final int SO_PEERCRED = 17;
  private static final int SO_TYPE = 3;
  private static final int SO_ACCEPTCONN = 30;
  public static final int SCM_RIGHTS = 1;
  public static final int MSG_CTRUNC = 0x08;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int MSG_CMSG_CLOEXEC = 0x40000000;
  // fcntl.h
  private static final int F_SETFL = 4;
  // sys/epoll.h
  public static final int EPOLLIN = 0x001;
  public static final int EPOLLRDHUP = 0x2000;
  public static final int EPOLLONESHOT = 1 << 30;
  private static final int EPOLL_CTL_ADD = 1;
  private static final int EPOLL_CTL_MOD = 3;
  private static final int EPOLL_CLOEXEC = 0x80000;
  // sys/eventfd.h
  private static final int EFD_NONBLOCK = 0x800;
  private static final int EFD_CLOEXEC = 0x80000;

  /** struct msghdr: name, namelen, iov, iovlen, control, controllen, flags; 8 bytes each. */
  private static final int MSGHDR = 56;

  private static final int MSGHDR_IOV = 16;
  private static final int MSGHDR_IOVLEN = 24;
  private static final int MSGHDR_CONTROL = 32;
  private static final int MSGHDR_CONTROLLEN = 40;
  private static final int MSGHDR_FLAGS = 48;

  /** struct epoll_event is packed on x86-64 only: events u32, data u64. */
  private static final boolean PACKED = System.getProperty("os.arch").equals("amd64");

  private static final int EPOLL_DATA = PACKED ? 4 : 8;
  private static final int EPOLL_EVENT = PACKED ? 12 : 16;

  private static final CFunction LISTEN = CFunction.returningInt("listen");
  private static final CFunction ACCEPT4 = CFunction.returningInt("accept4");
  private static final CFunction CONNECT = CFunction.returningInt("connect");
  private static final CFunction FCNTL = CFunction.returningInt("fcntl");
  private static final CFunction FCHMOD = CFunction.returningInt("fchmod");
  private static final CFunction GETSOCKOPT = CFunction.returningInt("getsockopt");
  private static final CFunction SENDMSG = CFunction.returningLong("sendmsg");
  private static final CFunction RECVMSG = CFunction.returningLong("recvmsg");
  private static final CFunction EPOLL_CREATE1 = CFunction.returningInt("epoll_create1");
  private static final CFunction EPOLL_CTL = CFunction.returningInt("epoll_ctl");
  private static final CFunction EPOLL_WAIT = CFunction.returningInt("epoll_wait");
  private static final CFunction EVENTFD = CFunction.returningInt("eventfd");

  private LibcSocket() {}

  /** listen(2). */
  public static void listen(int fd, int backlog) throws KernelException {
    LISTEN.invoke("listen", fd, backlog);
  }

  /** accept4(2), for a non-blocking listening socket; -1 if there is no connection now. */
  public static int accept4(int fd) throws KernelException {
    int flags = SOCK_NONBLOCK | Libc.SOCK_CLOEXEC;
    try (Arena arena = Arena.ofConfined()) {
      return (int) ACCEPT4.invokeNonBlocking(arena, "accept", fd, 0, 0, flags);
    }
  }

  /** connect(2). */
  public static void connect(int fd, MemorySegment address, String operation)
      throws KernelException {
    CONNECT.invoke(operation, fd, pointer(address), address.byteSize());
  }

  /** fcntl(2): makes the operations of a socket return EAGAIN instead of waiting. */
  public static void setNonBlocking(int fd) throws KernelException {
    FCNTL.invoke("fcntl F_SETFL", fd, F_SETFL, SOCK_NONBLOCK); // the same number as O_NONBLOCK
  }

  /** fchmod(2). On a Unix socket that is not bound yet it sets the mode of its file. */
  public static void fchmod(int fd, int mode) throws KernelException {
    FCHMOD.invoke("fchmod", fd, mode);
  }

  /** getsockopt(2), for an option whose value is a structure of a fixed size. */
  public static void getsockopt(int fd, int level, int option, MemorySegment value)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment length = arena.allocateFrom(JAVA_INT, (int) value.byteSize());
      GETSOCKOPT.invoke(arena, "getsockopt", fd, level, option, pointer(value), pointer(length), 0);
      if (length.get(JAVA_INT, 0) != value.byteSize()) {
        throw new KernelException(Errno.EINVAL, "getsockopt: unexpected length");
      }
    }
  }

  /** getsockopt(2): whether it is a stream socket that listens. */
  public static boolean isStreamListener(int fd) throws KernelException {
    return getsockopt(fd, SO_TYPE) == SOCK_STREAM && getsockopt(fd, SO_ACCEPTCONN) != 0;
  }

  private static int getsockopt(int fd, int option) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      getsockopt(fd, Libc.SOL_SOCKET, option, value);
      return value.get(JAVA_INT, 0);
    }
  }

  /**
   * sendmsg(2), without SIGPIPE and without waiting.
   *
   * @param control control messages, such as SCM_RIGHTS; {@link MemorySegment#NULL} for none
   * @return how many bytes were sent; 0 if the socket's buffer is full
   */
  public static long sendmsg(int fd, MemorySegment data, MemorySegment control)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      long message = pointer(message(arena, data, control));
      int flags = MSG_NOSIGNAL | Libc.MSG_DONTWAIT;
      long sent = SENDMSG.invokeNonBlocking(arena, "sendmsg", fd, message, flags, 0);
      return sent == CFunction.WOULD_BLOCK ? 0 : sent;
    }
  }

  private static MemorySegment message(Arena arena, MemorySegment data, MemorySegment control) {
    MemorySegment iovec = arena.allocateFrom(JAVA_LONG, pointer(data), data.byteSize());
    MemorySegment message = arena.allocate(MSGHDR, 8);
    message.set(JAVA_LONG, MSGHDR_IOV, pointer(iovec));
    message.set(JAVA_LONG, MSGHDR_IOVLEN, 1);
    message.set(JAVA_LONG, MSGHDR_CONTROL, pointer(control));
    message.set(JAVA_LONG, MSGHDR_CONTROLLEN, control.byteSize());
    return message;
  }

  /**
   * What recvmsg(2) returned.
   *
   * @param length the number of bytes of data; 0 at the end of the stream, -1 if there is nothing
   *     to receive now
   * @param flags the flags of the message, such as MSG_CTRUNC
   * @param controlLength the number of bytes of control messages
   */
  public record Received(long length, int flags, long controlLength) {
    private static final Received NOTHING = new Received(-1, 0, 0);
  }

  /** recvmsg(2), without waiting. Descriptors that it receives have the flag FD_CLOEXEC. */
  public static Received recvmsg(int fd, MemorySegment data, MemorySegment control)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment message = message(arena, data, control);
      int flags = MSG_CMSG_CLOEXEC | Libc.MSG_DONTWAIT;
      long length = RECVMSG.invokeNonBlocking(arena, "recvmsg", fd, pointer(message), flags, 0);
      return length == CFunction.WOULD_BLOCK
          ? Received.NOTHING
          : new Received(
              length,
              message.get(JAVA_INT, MSGHDR_FLAGS),
              message.get(JAVA_LONG, MSGHDR_CONTROLLEN));
    }
  }

  /** epoll_create1(2). */
  public static int epollCreate() throws KernelException {
    return (int) EPOLL_CREATE1.invoke("epoll_create1", EPOLL_CLOEXEC);
  }

  /** epoll_ctl(2) with EPOLL_CTL_ADD. */
  public static void epollAdd(int epoll, int fd, int events, long data) throws KernelException {
    epollControl(epoll, EPOLL_CTL_ADD, fd, events, data);
  }

  /** epoll_ctl(2) with EPOLL_CTL_MOD. */
  public static void epollModify(int epoll, int fd, int events, long data) throws KernelException {
    epollControl(epoll, EPOLL_CTL_MOD, fd, events, data);
  }

  private static void epollControl(int epoll, int operation, int fd, int events, long data)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment event = arena.allocate(EPOLL_EVENT, 8);
      event.set(JAVA_INT, 0, events);
      event.set(JAVA_LONG.withByteAlignment(1), EPOLL_DATA, data);
      EPOLL_CTL.invoke(arena, "epoll_ctl", epoll, operation, fd, pointer(event), 0, 0);
    }
  }

  /**
   * epoll_wait(2).
   *
   * @param timeoutMillis -1 to wait without a limit
   * @return the data of the descriptors that are ready; empty after the timeout or a signal
   */
  public static long[] epollWait(int epoll, int maximum, int timeoutMillis) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment errno = arena.allocate(CFunction.ERRNO);
      MemorySegment events = arena.allocate((long) EPOLL_EVENT * maximum, 8);
      long count = EPOLL_WAIT.call(errno, epoll, pointer(events), maximum, timeoutMillis, 0, 0);
      if (count < 0) {
        if (CFunction.errno(errno) != Errno.EINTR) {
          throw new KernelException(CFunction.errno(errno), "epoll_wait");
        }
        return new long[0];
      }
      long[] data = new long[(int) count];
      for (int i = 0; i < data.length; i++) {
        data[i] = events.get(JAVA_LONG.withByteAlignment(1), (long) EPOLL_EVENT * i + EPOLL_DATA);
      }
      return data;
    }
  }

  /** eventfd(2) with EFD_NONBLOCK. */
  public static int eventfd() throws KernelException {
    return (int) EVENTFD.invoke("eventfd", 0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
}
