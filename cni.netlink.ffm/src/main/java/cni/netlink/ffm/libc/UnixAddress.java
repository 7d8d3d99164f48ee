// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;

/** Addresses of Unix sockets, unix(7): struct sockaddr_un is the family, u16, and the path. */
public final class UnixAddress {
  /** sys/socket.h. */
  public static final int AF_UNIX = 1;

  private static final int PATH_OFFSET = 2;

  /** sizeof(sun_path). */
  private static final int MAX_PATH = 108;

  private UnixAddress() {}

  /**
   * Returns the path that a socket is bound to.
   *
   * @return an empty text for a socket without a path: of another family, abstract or not bound
   * @throws KernelException if it is not a socket
   */
  public static String boundPath(int fd) throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      // The kernel does not end a path of maximal length with a zero.
      MemorySegment address = arena.allocate(PATH_OFFSET + MAX_PATH + 1, 2);
      Libc.getsockname(fd, address);
      return address.get(JAVA_SHORT, 0) == AF_UNIX
          ? address.getString(PATH_OFFSET, StandardCharsets.UTF_8)
          : "";
    }
  }

  /**
   * Returns the address of a path, or of an abstract name, whose first byte is zero.
   *
   * @throws KernelException ENAMETOOLONG if it has more than 108 bytes
   */
  public static MemorySegment of(String path, Arena arena) throws KernelException {
    byte[] bytes = path.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > MAX_PATH) {
      throw new KernelException(
          Errno.ENAMETOOLONG,
          "%s has %d bytes; the address of a Unix socket has at most %d"
              .formatted(path, bytes.length, MAX_PATH));
    }
    MemorySegment address = arena.allocate(PATH_OFFSET + bytes.length, 2);
    address.set(JAVA_SHORT, 0, (short) AF_UNIX);
    MemorySegment.copy(bytes, 0, address, JAVA_BYTE, PATH_OFFSET, bytes.length);
    return address;
  }
}
