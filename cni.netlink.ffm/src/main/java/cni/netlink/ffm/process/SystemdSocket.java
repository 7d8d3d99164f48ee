// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Libc;
import cni.netlink.ffm.libc.LibcSocket;
import cni.netlink.ffm.libc.UnixAddress;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The listening sockets that the service manager passes to this process, sd_listen_fds(3). The
 * executables that this process starts do not inherit them.
 *
 * <p>A process with one server calls {@link #listener} alone, which returns the only socket
 * whatever its path. A process with several servers calls {@link #take} before it starts the
 * others; from then on each server gets the socket of its path only.
 */
public final class SystemdSocket {
  /** SD_LISTEN_FDS_START of systemd/sd-daemon.h. */
  private static final int LISTEN_FDS_START = 3;

  private static final int STANDARD_INPUT = 0;

  /**
   * The announced descriptors that nothing has taken, and the path that each is bound to, empty for
   * none; null before the environment is read.
   */
  private static @Nullable SortedMap<Integer, String> announced;

  /** Whether {@link #take} was called. */
  private static boolean hasSeveralServers;

  /** What {@link #listener} has returned, and the path that it was called with. */
  private static @Nullable ServerSocketChannel channel;

  private static @Nullable Path channelPath;

  private SystemdSocket() {}

  /**
   * Takes the socket that is bound to a path. The caller owns the descriptor, which has
   * close-on-exec set and blocks unless the socket unit says otherwise.
   *
   * @return empty if LISTEN_FDS announces no such socket, or it has been taken
   * @throws IOException if LISTEN_FDS is invalid, or the socket is not a listening stream socket
   */
  public static synchronized OptionalInt take(Path path) throws IOException {
    hasSeveralServers = true;
    return takeBoundTo(path);
  }

  /**
   * Returns a socket for a server that uses Java's channels: in a process that has called {@link
   * #take}, the one that is bound to the path; otherwise the only one that LISTEN_FDS announces or
   * that standard input is (StandardInput=socket of systemd.exec(5)). A further call with this path
   * returns the same channel; a process can have one only.
   *
   * <p>The caller must neither close the channel nor be interrupted in a blocking {@code accept},
   * which closes it: the JDK would then redirect the standard streams of the process to /dev/null.
   * The service manager keeps the socket open in any case.
   *
   * @return empty if there is none, or if standard input is not a listening stream socket
   * @throws IOException if LISTEN_FDS is invalid, if it announces several sockets to a process with
   *     one server, or if the socket is not a listening stream socket
   */
  public static synchronized Optional<ServerSocketChannel> listener(Path path) throws IOException {
    if (channel != null && path.equals(channelPath)) {
      return Optional.of(channel);
    }
    OptionalInt fd = hasSeveralServers ? takeBoundTo(path) : takeOnly();
    if (fd.isPresent()) {
      return Optional.of(openChannel(fd.getAsInt(), path));
    }
    return !hasSeveralServers && System.inheritedChannel() instanceof ServerSocketChannel listener
        ? Optional.of(listener)
        : Optional.empty();
  }

  /**
   * Returns descriptions of the announced sockets that nothing has taken, for a warning: clients
   * that connect to them wait in vain.
   *
   * @throws IOException if LISTEN_FDS is invalid
   */
  public static synchronized List<String> untaken() throws IOException {
    List<String> descriptions = new ArrayList<>();
    announced().forEach((fd, path) -> descriptions.add(describe(fd, path)));
    return descriptions;
  }

  private static OptionalInt takeBoundTo(Path path) throws IOException {
    for (Map.Entry<Integer, String> it : announced().entrySet()) {
      if (!it.getValue().isEmpty() && isSame(Path.of(it.getValue()), path.toAbsolutePath())) {
        return OptionalInt.of(take(it.getKey()));
      }
    }
    return OptionalInt.empty();
  }

  /** Compares the files as well: /var/run is usually a symbolic link to /run. */
  private static boolean isSame(Path bound, Path path) throws IOException {
    return bound.equals(path.normalize())
        || (Files.exists(bound) && Files.exists(path) && Files.isSameFile(bound, path));
  }

  private static OptionalInt takeOnly() throws IOException {
    SortedMap<Integer, String> sockets = announced();
    if (sockets.size() > 1) {
      throw new IOException(
          "LISTEN_FDS is %d, but the socket unit must have exactly one ListenStream="
              .formatted(sockets.size()));
    }
    return sockets.isEmpty() ? OptionalInt.empty() : OptionalInt.of(take(sockets.firstKey()));
  }

  private static int take(int fd) throws IOException {
    String path = announced().getOrDefault(fd, "");
    if (!isStreamListener(fd)) {
      throw new IOException(
          describe(fd, path)
              + ", which LISTEN_FDS announces, is not a listening stream socket; the socket unit must"
              + " have ListenStream=");
    }
    announced().remove(fd);
    return fd;
  }

  private static boolean isStreamListener(int fd) {
    try {
      return LibcSocket.isStreamListener(fd);
    } catch (KernelException e) {
      return false; // ENOTSOCK
    }
  }

  private static String describe(int fd, String path) {
    return "descriptor " + fd + (path.isEmpty() ? "" : " (" + path + ")");
  }

  private static SortedMap<Integer, String> announced() throws IOException {
    SortedMap<Integer, String> known = announced;
    if (known == null) {
      known = announcedBy(System.getenv());
      announced = known;
    }
    return known;
  }

  /**
   * Reads LISTEN_FDS and LISTEN_PID, and sets close-on-exec of the descriptors.
   *
   * @return the descriptors and their paths; empty if the variables are for another process
   */
  static SortedMap<Integer, String> announcedBy(Map<String, String> environment)
      throws IOException {
    String count = environment.getOrDefault("LISTEN_FDS", "");
    String process = environment.getOrDefault("LISTEN_PID", "");
    SortedMap<Integer, String> paths = new TreeMap<>();
    if (count.isEmpty() || !process.equals(String.valueOf(ProcessHandle.current().pid()))) {
      return paths;
    }
    int end = LISTEN_FDS_START + parseCount(count);
    for (int fd = LISTEN_FDS_START; fd < end; fd++) {
      try {
        Libc.setCloseOnExec(fd);
      } catch (KernelException e) {
        throw new IOException(
            "LISTEN_FDS is %s, but descriptor %d is not open".formatted(count, fd), e);
      }
      paths.put(fd, boundPath(fd));
    }
    return paths;
  }

  private static int parseCount(String count) throws IOException {
    try {
      int number = Integer.parseInt(count);
      if (number > 0 && number <= Integer.MAX_VALUE - LISTEN_FDS_START) {
        return number;
      }
    } catch (NumberFormatException e) {
      // reported below
    }
    throw new IOException(
        "LISTEN_FDS is \"%s\", not the number of sockets that the service manager passes"
            .formatted(count));
  }

  private static String boundPath(int fd) {
    try {
      return UnixAddress.boundPath(fd);
    } catch (KernelException e) {
      return ""; // ENOTSOCK
    }
  }

  /** Makes a channel of a descriptor: the JDK does so for standard input only, and only once. */
  private static ServerSocketChannel openChannel(int fd, Path path) throws IOException {
    int input = Libc.duplicate(STANDARD_INPUT);
    try {
      Libc.dup2(fd, STANDARD_INPUT);
      if (channel == null && System.inheritedChannel() instanceof ServerSocketChannel listener) {
        setCloseOnExecOfDuplicates(fd);
        channel = listener;
        channelPath = path;
        return listener;
      }
      throw new IOException(
          "no channel for %s: the one of this process is that of %s"
              .formatted(path, channelPath == null ? "its standard input" : channelPath));
    } finally {
      Libc.dup2(input, STANDARD_INPUT);
      Libc.close(input);
      Libc.close(fd);
    }
  }

  /** The JDK duplicates standard input for the channel, without close-on-exec. */
  private static void setCloseOnExecOfDuplicates(int fd) throws IOException {
    Path open = Path.of("/proc/self/fd");
    Path socket = Files.readSymbolicLink(open.resolve(String.valueOf(fd)));
    try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(open)) {
      for (Path it : descriptors) {
        if (isLinkTo(it, socket)) {
          Libc.setCloseOnExec(Integer.parseInt(String.valueOf(it.getFileName())));
        }
      }
    }
  }

  private static boolean isLinkTo(Path descriptor, Path target) throws IOException {
    try {
      return Files.readSymbolicLink(descriptor).equals(target);
    } catch (NoSuchFileException e) {
      return false; // another thread has closed it
    }
  }
}
