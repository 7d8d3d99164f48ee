// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.unix;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.libc.UnixAddress;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Optional;

/** A listening Unix stream socket whose operations do not wait. */
public final class UnixListener implements AutoCloseable {
  private static final int OWNER_ONLY = 0600;

  /** The kernel takes net.core.somaxconn if that is less. */
  private static final int BACKLOG = 4096;

  private final Descriptor descriptor;

  private UnixListener(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Creates the socket's file, with mode 0600 whatever the umask, and listens.
   *
   * @throws KernelException EADDRINUSE if there is a file of that name already
   */
  public static UnixListener bind(Path path) throws KernelException {
    int type = LibcSocket.SOCK_STREAM | LibcSocket.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC;
    var descriptor = new Descriptor(Libc.socket(UnixAddress.AF_UNIX, type, 0));
    try (Arena arena = Arena.ofConfined()) {
      LibcSocket.fchmod(descriptor.fd(), OWNER_ONLY);
      Libc.bind(descriptor.fd(), UnixAddress.of(path.toString(), arena));
      LibcSocket.listen(descriptor.fd(), BACKLOG);
      return new UnixListener(descriptor);
    } catch (KernelException | RuntimeException e) {
      descriptor.close();
      throw e;
    }
  }

  /** Takes ownership of a listening socket, such as one that the service manager has passed. */
  public static UnixListener of(int fd) throws KernelException {
    LibcSocket.setNonBlocking(fd);
    return new UnixListener(new Descriptor(fd));
  }

  /**
   * Accepts a connection; empty if there is none now.
   *
   * @throws KernelException EMFILE or ENFILE if there are too many open files
   */
  public Optional<UnixConnection> accept() throws KernelException {
    while (true) {
      try {
        int fd = LibcSocket.accept4(descriptor.fd());
        return fd < 0 ? Optional.empty() : Optional.of(new UnixConnection(new Descriptor(fd)));
      } catch (KernelException e) {
        if (!e.is(Errno.ECONNABORTED)) {
          throw e;
        }
      }
    }
  }

  int fd() {
    return descriptor.fd();
  }

  /** Closes the socket. Its file stays; connections to it are refused. */
  @Override
  public void close() {
    descriptor.close();
  }
}
