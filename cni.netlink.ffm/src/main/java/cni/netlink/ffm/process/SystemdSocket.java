package cni.netlink.ffm.process;

import cni.netlink.ffm.libc.Libc;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.util.Optional;

/** The listening socket that the service manager passes to this process, sd_listen_fds(3). */
public final class SystemdSocket {
  /** SD_LISTEN_FDS_START of systemd/sd-daemon.h. */
  private static final int LISTEN_FDS_START = 3;

  private static final int STANDARD_INPUT = 0;

  private SystemdSocket() {}

  /**
   * Returns the socket that LISTEN_FDS announces, or that standard input is (StandardInput=socket
   * of systemd.exec(5)).
   *
   * @return empty if there is none, or if standard input is not a listening stream socket
   * @throws IOException if there are several, or LISTEN_FDS announces another kind of descriptor
   */
  public static Optional<ServerSocketChannel> listener() throws IOException {
    String count = System.getenv().getOrDefault("LISTEN_FDS", "");
    String process = System.getenv().getOrDefault("LISTEN_PID", "");
    boolean isAnnounced =
        !count.isEmpty() && process.equals(String.valueOf(ProcessHandle.current().pid()));
    if (isAnnounced) {
      if (!count.equals("1")) {
        throw new IOException(
            "LISTEN_FDS is " + count + ", but the socket unit must have exactly one ListenStream=");
      }
      // System.inheritedChannel only looks at standard input.
      Libc.dup2(LISTEN_FDS_START, STANDARD_INPUT);
      Libc.close(LISTEN_FDS_START);
    }
    if (System.inheritedChannel() instanceof ServerSocketChannel listener) {
      return Optional.of(listener);
    }
    if (isAnnounced) {
      throw new IOException(
          "LISTEN_FDS is 1, but descriptor 3 is not a listening stream socket; the socket unit must"
              + " have ListenStream=");
    }
    return Optional.empty();
  }
}
