// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.unix;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcProcess;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.libc.UnixAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A connection of a Unix stream socket. One thread may receive while another one sends; a thread
 * that closes it makes sure that no other one uses it.
 */
public final class UnixConnection implements AutoCloseable {
  /** struct cmsghdr: length u64, level s32, type s32; then the descriptors, s32 each. */
  private static final int CMSGHDR = 16;

  /** struct ucred: pid, uid, gid; s32 each. */
  private static final int UCRED = 12;

  private final Descriptor descriptor;

  UnixConnection(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Connects to the socket of another process.
   *
   * @throws KernelException ENOENT if there is no such file, ECONNREFUSED if no process listens,
   *     EAGAIN if the listener's queue is full
   */
  public static UnixConnection connect(Path path) throws KernelException {
    int type = LibcSocket.SOCK_STREAM | LibcSocket.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC;
    var descriptor = new Descriptor(Libc.socket(UnixAddress.AF_UNIX, type, 0));
    try (Arena arena = Arena.ofConfined()) {
      LibcSocket.connect(
          descriptor.fd(), UnixAddress.of(path.toString(), arena), "connect to " + path);
      return new UnixConnection(descriptor);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Returns who is at the other end. */
  public PeerCredentials peer() throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment ucred = arena.allocate(UCRED, 4);
      LibcSocket.getsockopt(descriptor.fd(), Libc.SOL_SOCKET, LibcSocket.SO_PEERCRED, ucred);
      return new PeerCredentials(
          ucred.get(JAVA_INT, 0), ucred.get(JAVA_INT, 4), ucred.get(JAVA_INT, 8));
    }
  }

  /**
   * What was received.
   *
   * @param length the number of bytes; 0 at the end of the stream, -1 if there is nothing now
   * @param descriptors the descriptors that came with them, which the caller closes
   */
  public record Received(int length, List<ReceivedDescriptor> descriptors) {}

  /**
   * Receives what is there, without waiting.
   *
   * @param buffer native memory, which the bytes are written to
   * @param maxDescriptors how many descriptors are accepted
   * @throws KernelException if the connection failed; EMSGSIZE if there are more descriptors, of
   *     which none stays open
   */
  public Received receive(MemorySegment buffer, int maxDescriptors) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment control = arena.allocate(controlSize(maxDescriptors), 8);
      LibcSocket.Received received = LibcSocket.recvmsg(descriptor.fd(), buffer, control);
      List<ReceivedDescriptor> descriptors = descriptors(control, received.controlLength());
      if ((received.flags() & LibcSocket.MSG_CTRUNC) != 0) {
        descriptors.forEach(ReceivedDescriptor::close);
        throw new KernelException(Errno.EMSGSIZE, "too many descriptors");
      }
      return new Received((int) received.length(), descriptors);
    }
  }

  /** CMSG_SPACE(3): the header and the descriptors, up to a multiple of 8 bytes. */
  private static long controlSize(int descriptors) {
    return CMSGHDR + ((4L * descriptors + 7) & ~7L);
  }

  private static List<ReceivedDescriptor> descriptors(MemorySegment control, long length) {
    List<ReceivedDescriptor> descriptors = new ArrayList<>();
    long end = Math.min(length, control.byteSize());
    if (end >= CMSGHDR
        && control.get(JAVA_INT, 8) == Libc.SOL_SOCKET
        && control.get(JAVA_INT, 12) == LibcSocket.SCM_RIGHTS) {
      end = Math.min(end, control.get(JAVA_LONG, 0));
      for (long at = CMSGHDR; at + 4 <= end; at += 4) {
        descriptors.add(new ReceivedDescriptor(control.get(JAVA_INT, at)));
      }
    }
    return descriptors;
  }

  /**
   * Sends all bytes, waiting while the other end does not receive.
   *
   * @param timeout how long to wait in all
   * @throws KernelException EPIPE or ECONNRESET if the other end is closed, EAGAIN after the
   *     timeout
   */
  public void send(byte[] data, Duration timeout) throws KernelException {
    send(data, List.of(), timeout);
  }

  /**
   * Sends all bytes, as the other {@code send}, and duplicates of descriptors with the first one.
   *
   * @param data at least one byte
   */
  public void send(byte[] data, List<Integer> descriptors, Duration timeout)
      throws KernelException {
    long end = System.nanoTime() + timeout.toNanos();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment rest = arena.allocateFrom(JAVA_BYTE, data);
      MemorySegment control = rights(arena, descriptors);
      while (rest.byteSize() > 0) {
        long sent = LibcSocket.sendmsg(descriptor.fd(), rest, control);
        if (sent > 0) {
          rest = rest.asSlice(sent);
          control = MemorySegment.NULL;
        } else {
          awaitWritable(end - System.nanoTime());
        }
      }
    }
  }

  private static MemorySegment rights(Arena arena, List<Integer> descriptors) {
    if (descriptors.isEmpty()) {
      return MemorySegment.NULL;
    }
    MemorySegment control = arena.allocate(controlSize(descriptors.size()), 8);
    control.set(JAVA_LONG, 0, CMSGHDR + 4L * descriptors.size());
    control.set(JAVA_INT, 8, Libc.SOL_SOCKET);
    control.set(JAVA_INT, 12, LibcSocket.SCM_RIGHTS);
    for (int i = 0; i < descriptors.size(); i++) {
      control.set(JAVA_INT, CMSGHDR + 4L * i, descriptors.get(i));
    }
    return control;
  }

  private void awaitWritable(long nanos) throws KernelException {
    await(LibcProcess.POLLOUT, nanos, "the other end does not receive");
  }

  /**
   * Waits until there is something to receive, or the other end is closed.
   *
   * @throws KernelException EAGAIN after the timeout
   */
  public void awaitReadable(Duration timeout) throws KernelException {
    await(LibcProcess.POLLIN, timeout.toNanos(), "the other end does not send");
  }

  private void await(int event, long nanos, String failure) throws KernelException {
    long end = System.nanoTime() + nanos;
    short[] occurred = {0};
    while (occurred[0] == 0) {
      long left = end - System.nanoTime();
      if (left <= 0) {
        throw new KernelException(Errno.EAGAIN, failure);
      }
      int millis = (int) Math.min(left / 1_000_000 + 1, Integer.MAX_VALUE);
      occurred = LibcProcess.poll(new int[] {descriptor.fd()}, new int[] {event}, millis);
    }
  }

  int fd() {
    return descriptor.fd();
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
