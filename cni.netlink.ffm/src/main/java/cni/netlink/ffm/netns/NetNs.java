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
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A network namespace, held open by a descriptor: it exists at least until this is closed, whatever
 * becomes of the path that it was opened by. See network_namespaces(7) and setns(2).
 */
public final class NetNs implements AutoCloseable {
  /** Where {@code ip netns} keeps the names of namespaces. */
  public static final Path RUN_DIRECTORY = Path.of("/run/netns");

  /** NS_GET_NSTYPE of linux/nsfs.h: _IO(0xb7, 3). */
  private static final long NS_GET_NSTYPE = 0xb703;

  private static final Duration DIRECTORY_LOCK_TIMEOUT = Duration.ofSeconds(10);

  private static final String CURRENT_THREAD_NETNS = "/proc/thread-self/ns/net";

  private final Descriptor descriptor;
  private final Path path;

  private NetNs(Descriptor descriptor, Path path) {
    this.descriptor = descriptor;
    this.path = path;
  }

  /**
   * Opens a namespace by the path of a file that stands for it, such as {@code
   * /run/netns/container-1} or {@code /proc/123/ns/net}.
   *
   * @throws NotNamespaceException if the file is something else
   * @throws KernelException if it cannot be opened; errno says why
   */
  public static NetNs open(Path path) throws KernelException {
    // O_NONBLOCK: what is given for a namespace might be a pipe.
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

  private static void requireNetworkNamespace(Descriptor descriptor, Path path)
      throws KernelException {
    int type;
    try {
      type = Libc.ioctl(descriptor.fd(), NS_GET_NSTYPE, "ioctl NS_GET_NSTYPE on " + path);
    } catch (KernelException e) {
      throw e.is(Errno.ENOTTY) || e.is(Errno.EINVAL) ? new NotNamespaceException(path) : e;
    }
    if (type != Libc.CLONE_NEWNET) {
      throw new NotNamespaceException(path);
    }
  }

  /**
   * Opens the namespace that the calling thread is in, which is that of the whole process.
   *
   * @throws KernelException if /proc is not what it should be
   */
  public static NetNs current() throws KernelException {
    return open(Path.of(CURRENT_THREAD_NETNS));
  }

  /**
   * Creates a namespace with a name, so that {@code ip netns} lists it and can enter it. Its
   * loopback interface is there and down.
   *
   * @param name a plain file name
   * @throws FileAlreadyExistsException if there is one of that name
   * @throws IOException if it cannot be created
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
   * Makes /run/netns as iproute2 does (netns_add in ip/ipnetns.c): a mount point of its own whose
   * mounts spread to every mount namespace, so that deleting a name works everywhere.
   */
  private static void prepareRunDirectory() throws IOException {
    if (!Files.isDirectory(RUN_DIRECTORY)) {
      var mode = PosixFilePermissions.fromString("rwxr-xr-x");
      Files.createDirectories(RUN_DIRECTORY, PosixFilePermissions.asFileAttribute(mode));
    }
    // Whoever comes second must not mount over what the first has put there.
    try (Flock _ = Flock.acquire(RUN_DIRECTORY, DIRECTORY_LOCK_TIMEOUT)) {
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
   * Removes a namespace's name. The namespace itself goes with its last user. A name that is not
   * there is no error.
   *
   * @throws IOException if the name cannot be removed
   */
  public static void delete(String name) throws IOException {
    Path file = pathOf(name);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try {
      Libc.umount2(file.toString(), Libc.MNT_DETACH);
    } catch (KernelException e) {
      if (!e.is(Errno.EINVAL) && !e.is(Errno.ENOENT)) { // EINVAL: only a file, nothing mounted
        throw e;
      }
    }
    try {
      Files.deleteIfExists(file);
    } catch (NoSuchFileException e) {
      return;
    }
  }

  /** The path that stands for the namespace with that name. */
  public static Path pathOf(String name) {
    if (name.isEmpty() || name.equals(".") || name.equals("..") || name.indexOf('/') >= 0) {
      throw new IllegalArgumentException("not a plain name: " + name);
    }
    return RUN_DIRECTORY.resolve(name);
  }

  /** The path that it was opened by. */
  public Path path() {
    return path;
  }

  /** The descriptor's number, as IFLA_NET_NS_FD wants it; good as long as this is open. */
  public int fd() {
    return descriptor.fd();
  }

  /**
   * What tells namespaces apart: two that were opened by different paths are the same if this is
   * equal.
   *
   * @throws KernelException if it cannot be read
   */
  public Identity identity() throws KernelException {
    long[] statx = Libc.statx(fd());
    return new Identity(statx[0], statx[1], statx[2]);
  }

  /**
   * The identity of the namespace that this process is in.
   *
   * @throws KernelException if it cannot be read
   */
  public static Identity ownIdentity() throws KernelException {
    long[] statx = Libc.statx(NamespaceThreads.originalNetNs());
    return new Identity(statx[0], statx[1], statx[2]);
  }

  /**
   * Runs a task on a thread that is inside the namespace. The calling thread waits where it is. Use
   * it for what depends on the thread's namespace and for nothing else: opening a socket, reading
   * and writing below /proc/sys/net, starting a process.
   *
   * @throws E what the task throws
   * @throws KernelException if the namespace cannot be entered or left
   */
  public <T, E extends Exception> T call(Task<T, E> task) throws E, KernelException {
    return NamespaceThreads.call(fd(), task);
  }

  /**
   * As {@link #call}, but the calling thread goes on meanwhile. The namespace must stay open until
   * the visit has been awaited.
   */
  public <T, E extends Exception> PendingTask<T, E> submit(Task<T, E> task) {
    return NamespaceThreads.submit(fd(), task);
  }

  /**
   * Runs a task as {@code ip netns exec} would run a command: inside the namespace, with a mount
   * namespace of its own in which /sys shows this network namespace's devices. For starting a
   * process.
   *
   * @throws E what the task throws
   * @throws KernelException if the namespaces cannot be set up
   */
  public <T, E extends Exception> T callWithPrivateSysfs(Task<T, E> task)
      throws E, KernelException {
    int fd = fd();
    return NamespaceThreads.callOnFreshThread(
        () -> {
          Libc.setns(fd);
          Libc.unshare(Libc.CLONE_NEWNS);
          Libc.mount("", "/", "none", Libc.MS_SLAVE | Libc.MS_REC);
          unmountSysfs();
          Libc.mount("sysfs", "/sys", "sysfs", 0);
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

  /** What is done inside a namespace. */
  @FunctionalInterface
  public interface Task<T, E extends Exception> {
    /** Does it. */
    T run() throws E, KernelException;
  }

  /** A task that runs inside a namespace by now. */
  @FunctionalInterface
  public interface PendingTask<T, E extends Exception> {
    /**
     * Waits for its end, interrupted or not; again and again, if need be.
     *
     * @throws E what the task throws
     * @throws KernelException if the namespace cannot be entered or left
     */
    T join() throws E, KernelException;
  }

  /** The device and inode of a namespace's file, which no other namespace shares. */
  public record Identity(long deviceMajor, long deviceMinor, long inode) {
    // A record's own methods are spun when first used, which takes a process some 10 ms.

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
