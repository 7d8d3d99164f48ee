// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.netns;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Flock;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A network namespace, network_namespaces(7), held by an open descriptor: it exists at least until
 * this is closed, even if the path that it was opened by is removed.
 */
public final class NetNs implements AutoCloseable {
  /** The directory of named namespaces, NETNS_RUN_DIR of ip-netns(8). */
  public static final Path RUN_DIRECTORY = Path.of("/run/netns");

  /** _IO(0xb7, 3) of linux/nsfs.h. */
  private static final long NS_GET_NSTYPE = 0xb703;

  private static final Duration DIRECTORY_LOCK_TIMEOUT = Duration.ofSeconds(10);

  private static final String CURRENT_THREAD_NETNS = "/proc/thread-self/ns/net";

  /**
   * The errors of open(2) for a path at which there is no namespace: it does not exist, it is below
   * a file, in a loop of links or too long, or that of a socket or a device without driver.
   */
  private static final int[] ABSENT = {
    Errno.ENOENT, Errno.ENOTDIR, Errno.ELOOP, Errno.ENAMETOOLONG, Errno.ENXIO, Errno.ENODEV
  };

  private final Descriptor descriptor;
  private final Path path;

  private NetNs(Descriptor descriptor, Path path) {
    this.descriptor = descriptor;
    this.path = path;
  }

  /**
   * Opens a namespace by a path such as {@code /run/netns/container-1} or {@code /proc/123/ns/net}.
   *
   * @throws NotNamespaceException if the file is not a network namespace
   * @throws KernelException if the file cannot be opened
   */
  public static NetNs open(Path path) throws KernelException {
    // O_NONBLOCK: opening a FIFO, given by mistake, would block.
    int flags = Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_CLOEXEC;
    var descriptor = new Descriptor(Libc.open(path.toString(), flags, 0));
    try {
      requireNetworkNamespace(descriptor, path);
      return new NetNs(descriptor, path);
    } catch (KernelException e) {
      descriptor.close();
      throw e;
    }
  }

  /**
   * Opens a namespace as {@link #open} does, if there can be one at the path: a deleted namespace
   * leaves no file, or the empty file of its bind mount, and the path may have been used for
   * another kind of file since.
   *
   * @return empty if the path leads nowhere or is not that of a network namespace
   * @throws KernelException if the file cannot be opened for another reason, such as EACCES
   */
  public static Optional<NetNs> openIfPresent(Path path) throws KernelException {
    try {
      return Optional.of(open(path));
    } catch (KernelException e) {
      if (e instanceof NotNamespaceException || IntStream.of(ABSENT).anyMatch(e::is)) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private static void requireNetworkNamespace(Descriptor descriptor, Path path)
      throws KernelException {
    int type;
    try {
      type = Libc.ioctl(descriptor.fd(), NS_GET_NSTYPE, 0, "ioctl NS_GET_NSTYPE on " + path);
    } catch (KernelException e) {
      throw e.is(Errno.ENOTTY) || e.is(Errno.EINVAL) ? new NotNamespaceException(path) : e;
    }
    if (type != Libc.CLONE_NEWNET) {
      throw new NotNamespaceException(path);
    }
  }

  /**
   * Opens the namespace of the calling thread: that of the process, unless called within {@link
   * #call}.
   *
   * @throws KernelException if it cannot be opened, for example without /proc
   */
  public static NetNs current() throws KernelException {
    return open(Path.of(CURRENT_THREAD_NETNS));
  }

  /**
   * Creates a named namespace, as {@code ip netns add} does. It contains only a loopback interface,
   * which is down.
   *
   * @param name a file name without slashes
   * @throws FileAlreadyExistsException if the name is taken
   * @throws IOException if the namespace cannot be created
   * @throws IllegalArgumentException if the name is not a plain file name
   */
  public static NetNs create(String name) throws IOException {
    Path file = pathOf(name);
    prepareRunDirectory();
    int fd;
    try {
      int flags = Libc.O_RDONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC;
      fd = Libc.open(file.toString(), flags, 0);
    } catch (KernelException e) {
      throw e.is(Errno.EEXIST) ? new FileAlreadyExistsException(file.toString()) : e;
    }
    Libc.close(fd);
    try {
      NamespaceThreads.<Path, KernelException>callOnFreshThread(
          () -> {
            Libc.unshare(Libc.CLONE_NEWNET);
            Libc.mount(CURRENT_THREAD_NETNS, file.toString(), "none", Libc.MS_BIND);
            return file;
          });
      return open(file);
    } catch (IOException e) {
      delete(name);
      throw e;
    }
  }

  /**
   * Creates a namespace without a name. It contains only a loopback interface, which is down. It
   * ends when this object is closed and no process is in it; its path is one of this process only.
   *
   * @throws KernelException if the namespace cannot be created
   */
  public static NetNs createUnnamed() throws KernelException {
    int fd =
        NamespaceThreads.<Integer, KernelException>callOnFreshThread(
            () -> {
              Libc.unshare(Libc.CLONE_NEWNET);
              return Libc.open(CURRENT_THREAD_NETNS, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
            });
    return new NetNs(new Descriptor(fd), Path.of("/proc/self/fd", String.valueOf(fd)));
  }

  /**
   * Prepares /run/netns as iproute2 does (netns_add in ip/ipnetns.c): as a mount point with shared
   * propagation, so that unmounting a name takes effect in every mount namespace.
   */
  private static void prepareRunDirectory() throws IOException {
    if (!Files.isDirectory(RUN_DIRECTORY)) {
      var mode = PosixFilePermissions.fromString("rwxr-xr-x");
      Files.createDirectories(RUN_DIRECTORY, PosixFilePermissions.asFileAttribute(mode));
    }
    // Two concurrent bind mounts would hide the names that were created between them.
    try (Flock _ = Flock.acquireDirectory(RUN_DIRECTORY, DIRECTORY_LOCK_TIMEOUT)) {
      makeShared(RUN_DIRECTORY.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for " + RUN_DIRECTORY);
    }
  }

  private static void makeShared(String directory) throws KernelException {
    try {
      Libc.mount("", directory, "none", Libc.MS_SHARED | Libc.MS_REC);
    } catch (KernelException e) {
      if (!e.is(Errno.EINVAL)) { // EINVAL: not a mount point yet
        throw e;
      }
      Libc.mount(directory, directory, "none", Libc.MS_BIND | Libc.MS_REC);
      Libc.mount("", directory, "none", Libc.MS_SHARED | Libc.MS_REC);
    }
  }

  /**
   * Removes a namespace's name if it exists. The kernel removes the namespace itself when no
   * process, descriptor or mount refers to it any more.
   *
   * @throws IOException if the name cannot be removed
   * @throws IllegalArgumentException if the name is not a plain file name
   */
  public static void delete(String name) throws IOException {
    Path file = pathOf(name);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try {
      Libc.umount2(file.toString(), Libc.MNT_DETACH);
    } catch (KernelException e) {
      if (!e.is(Errno.EINVAL) && !e.is(Errno.ENOENT)) { // EINVAL: a plain file, not a mount point
        throw e;
      }
    }
    Files.deleteIfExists(file);
  }

  /**
   * Returns the path of a named namespace, whether or not it exists.
   *
   * @throws IllegalArgumentException if the name is not a plain file name
   */
  public static Path pathOf(String name) {
    if (name.isEmpty() || name.equals(".") || name.equals("..") || name.indexOf('/') >= 0) {
      throw new IllegalArgumentException("not a plain name: " + name);
    }
    return RUN_DIRECTORY.resolve(name);
  }

  /** Returns the path that it was opened by. */
  public Path path() {
    return path;
  }

  /**
   * Returns the number of the descriptor, for IFLA_NET_NS_FD; valid while this is open.
   *
   * @throws IllegalStateException if this is closed
   */
  public int fd() {
    return descriptor.fd();
  }

  /**
   * Returns the identity of the namespace, which is equal for different paths to one namespace.
   *
   * @throws KernelException if statx(2) fails
   */
  public Identity identity() throws KernelException {
    long[] statx = Libc.statx(fd());
    return new Identity(statx[0], statx[1], statx[2]);
  }

  /**
   * Returns the identity of the namespace of this process.
   *
   * @throws KernelException if statx(2) fails
   */
  public static Identity ownIdentity() throws KernelException {
    long[] statx = Libc.statx(NamespaceThreads.originalNetNs());
    return new Identity(statx[0], statx[1], statx[2]);
  }

  /**
   * Runs a task on another thread inside the namespace, and waits for it, even if interrupted. The
   * calling thread stays in its own namespace. Only for what depends on the thread's namespace:
   * opening a socket, accessing files below /proc/sys/net, starting a process. The task must not
   * start threads or wake virtual ones.
   *
   * @throws E if the task throws it
   * @throws KernelException if the namespace cannot be entered or left
   */
  public <T, E extends Exception> T call(Task<T, E> task) throws E, KernelException {
    return NamespaceThreads.call(fd(), task);
  }

  /**
   * Starts a task as {@link #call} does, without waiting for it. This must stay open until {@link
   * PendingTask#join} has returned.
   */
  public <T, E extends Exception> PendingTask<T, E> submit(Task<T, E> task) {
    return NamespaceThreads.submit(fd(), task);
  }

  /**
   * Runs a task as {@code ip netns exec} runs a command: inside the namespace, and in a new mount
   * namespace whose /sys shows this network namespace's devices. Meant for starting a process.
   *
   * @throws E if the task throws it
   * @throws KernelException if the namespaces cannot be set up
   */
  public <T, E extends Exception> T callWithPrivateSysfs(Task<T, E> task)
      throws E, KernelException {
    return callWithPrivateSysfs(Map.of(), task);
  }

  /**
   * As {@link #callWithPrivateSysfs(Task)}, with files that replace others in the mount namespace.
   *
   * @param replaced the files to mount, by the existing files that they replace. They may be
   *     deleted afterwards
   */
  public <T, E extends Exception> T callWithPrivateSysfs(Map<Path, Path> replaced, Task<T, E> task)
      throws E, KernelException {
    int fd = fd();
    return NamespaceThreads.callOnFreshThread(
        () -> {
          Libc.setns(fd);
          Libc.unshare(Libc.CLONE_NEWNS);
          Libc.mount("", "/", "none", Libc.MS_SLAVE | Libc.MS_REC);
          unmountSysfs();
          Libc.mount("sysfs", "/sys", "sysfs", 0);
          for (Map.Entry<Path, Path> it : replaced.entrySet()) {
            Libc.mount(it.getValue().toString(), it.getKey().toString(), "none", Libc.MS_BIND);
          }
          return task.run();
        });
  }

  private static void unmountSysfs() throws KernelException {
    try {
      Libc.umount2("/sys", Libc.MNT_DETACH);
    } catch (KernelException e) {
      if (!e.is(Errno.EINVAL)) { // EINVAL: nothing is mounted there
        throw e;
      }
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }

  @Override
  public String toString() {
    return path.toString();
  }

  /**
   * Code that runs inside a namespace.
   *
   * @param <T> what it returns
   * @param <E> what it throws besides KernelException
   */
  @FunctionalInterface
  public interface Task<T, E extends Exception> {
    /** Runs it. */
    T run() throws E, KernelException;
  }

  /** A task that was submitted, and may have ended already. */
  @FunctionalInterface
  public interface PendingTask<T, E extends Exception> {
    /**
     * Waits for the task, even if interrupted, and returns its result. It may be called repeatedly.
     *
     * @throws E if the task has thrown it
     * @throws KernelException if the namespace cannot be entered or left
     */
    T join() throws E, KernelException;
  }

  /** The device and inode of a namespace's file in nsfs, which identify the namespace. */
  public record Identity(long deviceMajor, long deviceMinor, long inode) {
    // Written by hand: the first generated equals or hashCode that a process calls costs 17 % of
    // the time of "cni add" (docs/decisions/0005-image-start.md).

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Identity it
          && deviceMajor == it.deviceMajor
          && deviceMinor == it.deviceMinor
          && inode == it.inode;
    }

    @Override
    public int hashCode() {
      return Long.hashCode(inode) + 31 * (int) (deviceMinor + 31 * deviceMajor);
    }
  }
}
