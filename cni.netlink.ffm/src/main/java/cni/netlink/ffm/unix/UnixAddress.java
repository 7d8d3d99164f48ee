package cni.netlink.ffm.unix;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.LibcSocket;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** struct sockaddr_un of unix(7). */
final class UnixAddress {
  private static final int PATH_OFFSET = 2;

  /** sizeof(sun_path), with the terminating NUL. */
  private static final int MAX_PATH = 108;

  private UnixAddress() {}

  /**
   * Returns the address of a path.
   *
   * @throws KernelException ENAMETOOLONG if the path has more than 107 bytes
   */
  static MemorySegment of(Path path, Arena arena) throws KernelException {
    byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
    if (name.length >= MAX_PATH) {
      throw new KernelException(
          Errno.ENAMETOOLONG, "socket " + path + " (a socket's path has at most 107 bytes)");
    }
    MemorySegment address = arena.allocate(PATH_OFFSET + name.length + 1L, 2);
    address.set(JAVA_SHORT, 0, (short) LibcSocket.AF_UNIX);
    MemorySegment.copy(MemorySegment.ofArray(name), 0, address, PATH_OFFSET, name.length);
    return address;
  }
}
