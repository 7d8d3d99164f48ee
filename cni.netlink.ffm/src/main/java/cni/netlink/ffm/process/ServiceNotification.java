// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.UnixAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Notifies the service manager of the state of this process, sd_notify(3), if NOTIFY_SOCKET names
 * its socket; otherwise does nothing. A failure is logged once and has no other effect.
 * Thread-safe.
 */
public final class ServiceNotification {
  /** How long a message waits if the service manager does not read its socket. */
  private static final Duration SEND_TIMEOUT = Duration.ofSeconds(2);

  private final String socket;
  private final Optional<Duration> watchdogTimeout;
  private final AtomicBoolean hasLogged = new AtomicBoolean();

  private ServiceNotification(Map<String, String> environment, long pid) {
    this.socket = environment.getOrDefault("NOTIFY_SOCKET", "");
    this.watchdogTimeout = parseWatchdog(environment, pid);
  }

  /** Returns the notifications that the environment of this process asks for. */
  public static ServiceNotification fromEnvironment() {
    return of(System.getenv(), ProcessHandle.current().pid());
  }

  static ServiceNotification of(Map<String, String> environment, long pid) {
    return new ServiceNotification(environment, pid);
  }

  /** Parses WATCHDOG_USEC and WATCHDOG_PID, sd_watchdog_enabled(3). */
  private Optional<Duration> parseWatchdog(Map<String, String> environment, long pid) {
    String micros = environment.getOrDefault("WATCHDOG_USEC", "");
    String process = environment.getOrDefault("WATCHDOG_PID", "");
    boolean isForOther = !process.isEmpty() && !process.equals(String.valueOf(pid));
    if (micros.isEmpty() || isForOther) {
      return Optional.empty();
    }
    try {
      long number = Long.parseLong(micros);
      if (number > 0) {
        return Optional.of(Duration.of(number, ChronoUnit.MICROS));
      }
    } catch (NumberFormatException e) {
      // logged below
    }
    logOnce("WATCHDOG_USEC is \"" + micros + "\", not a positive number of microseconds");
    return Optional.empty();
  }

  /**
   * Returns how long the service manager waits for a {@link #watchdog} notification before it ends
   * this process; absent if it does not wait for any. They should be sent at half this interval.
   */
  public Optional<Duration> watchdogTimeout() {
    return watchdogTimeout;
  }

  /** Notifies that this process serves requests, READY=1. */
  public void ready() {
    send("READY=1");
  }

  /** Notifies that this process is about to end, STOPPING=1. */
  public void stopping() {
    send("STOPPING=1");
  }

  /** Notifies that this process works, WATCHDOG=1. */
  public void watchdog() {
    send("WATCHDOG=1");
  }

  /**
   * Sets the text that {@code systemctl status} shows, STATUS=.
   *
   * @param text one line; control characters are replaced, because a line is an assignment
   */
  public void status(String text) {
    send("STATUS=" + text.replaceAll("\\p{Cntrl}", " "));
  }

  private void send(String state) {
    if (socket.isEmpty()) {
      return;
    }
    if (!socket.startsWith("/") && !socket.startsWith("@")) {
      logOnce("NOTIFY_SOCKET is \"" + socket + "\", neither an absolute path nor an abstract name");
      return;
    }
    try {
      sendTo(socket.replaceFirst("^@", "\0"), state);
    } catch (KernelException e) {
      logOnce("the service manager cannot be notified at " + socket + ": " + e.getMessage());
    }
  }

  private static void sendTo(String path, String state) throws KernelException {
    int fd = Libc.socket(UnixAddress.AF_UNIX, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = UnixAddress.of(path, arena);
      byte[] bytes = state.getBytes(StandardCharsets.UTF_8);
      MemorySegment message = arena.allocateFrom(JAVA_BYTE, bytes);
      Libc.setSendTimeout(fd, SEND_TIMEOUT);
      Libc.sendto(fd, message, address);
    } finally {
      Libc.close(fd);
    }
  }

  private void logOnce(String message) {
    if (hasLogged.compareAndSet(false, true)) {
      System.getLogger("cni.netlink.ffm").log(System.Logger.Level.WARNING, message);
    }
  }
}
