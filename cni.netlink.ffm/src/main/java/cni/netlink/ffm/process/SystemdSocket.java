package cni.netlink.ffm.process;

import cni.netlink.ffm.libc.Libc;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.util.Optional;

/** A listening socket that the service manager has opened for this process, sd_listen_fds(3). */
public final class SystemdSocket {
  /** SD_LISTEN_FDS_START of systemd/sd-daemon.h. */
  private static final int LISTEN_FDS_START = 3;

  private static final int STANDARD_INPUT = 0;

  private SystemdSocket() {}

  /**
   * The socket that LISTEN_FDS tells of, or that is standard input (StandardInput=socket).
   *
   * @return empty if there is none
   * @throws IOException if there are several, or it is no listening stream socket
   */
  public static Optional<ServerSocketChannel> listener() throws IOException {
    String count = System.getenv().getOrDefault("LISTEN_FDS", "");
    String process = System.getenv().getOrDefault("LISTEN_PID", "");
    if (!count.isEmpty() && process.equals("" + ProcessHandle.current().pid())) {
      if (!count.equals("1")) {
        throw new IOException("one socket is expected of the service manager, not " + count);
      }
      // Java knows an inherited socket only as standard input.
      Libc.dup2(LISTEN_FDS_START, STANDARD_INPUT);
      Libc.close(LISTEN_FDS_START);
    }
    return System.inheritedChannel() instanceof ServerSocketChannel listener
        ? Optional.of(listener)
        : Optional.empty();
  }
}
