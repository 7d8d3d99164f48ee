// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.netns.NotNamespaceException;
import cni.netlink.ffm.nftables.ConntrackSocket;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A network namespace that a plugin works in, the container's or the host's, with the sockets that
 * were opened in it. Closing the session returns reusable sockets of a host to a pool and closes
 * all others. Not safe for use by several threads at once.
 */
public final class NetNsSession implements Differences.Resource {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  private static final SocketPool<RouteSocket> RTNETLINK_POOL = new SocketPool<>(RouteSocket::open);
  private static final SocketPool<NftablesSocket> NFTABLES_POOL =
      new SocketPool<>(NftablesSocket::open);
  private static final SocketPool<ConntrackSocket> CONNTRACK_POOL =
      new SocketPool<>(ConntrackSocket::open);

  private final Optional<NetNs> netns;

  /** Present for a host namespace, whose sockets return to the pools. */
  private final Optional<NetNs.Identity> hostIdentity;

  private @Nullable RouteSocket rtnetlink;
  private @Nullable NftablesSocket nftables;
  private @Nullable ConntrackSocket conntrack;
  private NetNs.@Nullable PendingTask<SetupOutcome, KernelException> setupTask;

  private NetNsSession(Optional<NetNs> netns, Optional<NetNs.Identity> hostIdentity) {
    this.netns = netns;
    this.hostIdentity = hostIdentity;
  }

  private static NetNsSession container(NetNs netns) {
    return new NetNsSession(Optional.of(netns), Optional.empty());
  }

  /**
   * Opens the container's namespace.
   *
   * @throws CniException code 8 if its path is not that of a network namespace, or is that of the
   *     host's; code 4 if the request has no path
   */
  public static NetNsSession openContainer(AttachmentRequest request, NetNsSession host)
      throws CniException {
    NetNs netns = open(request.requireNamespace(), "the container's network namespace");
    return requireNotHost(request, container(netns), netns, host);
  }

  /**
   * Runs a task in the container's namespace if that still exists, for DEL.
   *
   * @return whether it exists: false if the request has no path, or there is no namespace there
   * @throws CniException what the task throws; code 8 if the path is that of the host's namespace
   *     or cannot be opened
   * @throws E what the task throws
   */
  public static <E extends Exception> boolean runIfPresent(
      AttachmentRequest request, NetNsSession host, ContainerTask<E> task) throws CniException, E {
    Optional<Path> path = request.attachment().namespace();
    Optional<NetNs> netns = path.isEmpty() ? Optional.empty() : openIfPresent(path.get());
    if (netns.isEmpty()) {
      return false;
    }
    try (NetNsSession container =
        requireNotHost(request, container(netns.get()), netns.get(), host)) {
      task.run(container);
    }
    return true;
  }

  private static Optional<NetNs> openIfPresent(Path path) throws CniException {
    try {
      return NetNs.openIfPresent(path);
    } catch (KernelException e) {
      throw unusable(path, "the container's network namespace", e);
    }
  }

  /** Protects the host's namespace from a container's operations, unless the context allows it. */
  private static NetNsSession requireNotHost(
      AttachmentRequest request, NetNsSession container, NetNs netns, NetNsSession host)
      throws CniException {
    boolean permitted = request.context().allowsHostNamespace();
    try {
      permitted |= !netns.identity().equals(host.hostIdentity());
    } catch (KernelException e) {
      throw failure("comparing network namespaces", e);
    } finally {
      if (!permitted) {
        container.close();
      }
    }
    if (!permitted) {
      throw new CniException(
          ErrorCode.INVALID_NAMESPACE,
          "the container's network namespace (CNI_NETNS) "
              + netns.path()
              + " is the host's; give the path of the container's");
    }
    return container;
  }

  /**
   * Opens the host's namespace.
   *
   * @throws CniException code 8 if the context names one that cannot be opened
   */
  public static NetNsSession openHost(CallContext context) throws CniException {
    Optional<Path> path = context.hostNamespace();
    Optional<NetNs> netns =
        path.isEmpty()
            ? Optional.empty()
            : Optional.of(open(path.get(), "the host's network namespace"));
    try {
      NetNs.Identity identity = netns.isPresent() ? netns.get().identity() : NetNs.ownIdentity();
      return new NetNsSession(netns, Optional.of(identity));
    } catch (KernelException e) {
      netns.ifPresent(NetNs::close);
      throw failure("identifying the host's network namespace", e);
    }
  }

  private static NetNs open(Path path, String role) throws CniException {
    try {
      return NetNs.open(path);
    } catch (KernelException e) {
      throw unusable(path, role, e);
    }
  }

  private static CniException unusable(Path path, String role, KernelException e) {
    String why =
        switch (e) {
          case NotNamespaceException other -> "is not a network namespace";
          case KernelException missing when missing.is(Errno.ENOENT) ->
              "does not exist; \"ip netns list\" shows the named ones";
          default -> "cannot be opened: " + e.getMessage();
        };
    return new CniException(ErrorCode.INVALID_NAMESPACE, role + " " + path + " " + why, e);
  }

  /**
   * Creates the error for an operation that the kernel refused.
   *
   * @param what the operation, for the message: {@code setting up interface eth0}
   * @return code 999
   */
  public static CniException failure(String what, IOException e) {
    return IoErrors.failure(what, e);
  }

  /**
   * Returns the namespace itself, for creating interfaces in it.
   *
   * @throws IllegalStateException if this is the namespace of this process
   */
  public NetNs netns() {
    return netns.orElseThrow(IllegalStateException::new);
  }

  /** Returns the identity of a host's namespace. */
  public NetNs.Identity hostIdentity() {
    return hostIdentity.orElseThrow();
  }

  /** The result of {@link #submitSetup}: the socket is usable even if the task failed. */
  private record SetupOutcome(RouteSocket rtnetlink, Optional<Throwable> failure) {}

  /**
   * Submits a task to a thread that enters the container's namespace once, opens the rtnetlink
   * socket (unless it is open) and runs the task, while the caller continues.
   */
  public void submitSetup(SysctlTask task) {
    RouteSocket existing = rtnetlink;
    setupTask =
        netns()
            .submit(
                () -> {
                  RouteSocket socket = existing == null ? RouteSocket.open() : existing;
                  try {
                    task.run(Sysctl.KERNEL);
                    return new SetupOutcome(socket, Optional.empty());
                  } catch (Throwable e) { // rethrown by joinSetup
                    return new SetupOutcome(socket, Optional.of(e));
                  }
                });
  }

  /**
   * Waits until the task of {@link #submitSetup} is done, if there is one.
   *
   * @throws IOException what the task threw, or if the namespace cannot be entered
   */
  public void joinSetup() throws IOException {
    Optional<Throwable> failure = setupTask == null ? Optional.empty() : setupTask.join().failure();
    if (failure.isPresent()) { // a condition, because the first pattern switch takes milliseconds
      switch (failure.get()) {
        case IOException e -> throw e;
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        default -> throw new IllegalStateException(failure.get());
      }
    }
  }

  /**
   * Returns the socket for links, addresses and routes; it is opened on first use.
   *
   * @throws KernelException if it cannot be opened
   */
  public RouteSocket rtnetlink() throws KernelException {
    RouteSocket socket = rtnetlink;
    if (socket == null && setupTask != null) {
      return setupTask.join().rtnetlink();
    }
    if (socket == null) {
      socket = acquireRtnetlink();
      rtnetlink = socket;
    }
    return socket;
  }

  /**
   * Returns a socket that does not belong to this session and is not closed with it: the caller
   * passes it to {@link #release}.
   *
   * @throws KernelException if it cannot be opened
   */
  RouteSocket acquireRtnetlink() throws KernelException {
    return RTNETLINK_POOL.acquire(netns, hostIdentity);
  }

  /** Returns a socket to the pool or closes it; the session may have been closed before. */
  void release(RouteSocket socket) {
    RTNETLINK_POOL.release(hostIdentity, socket);
  }

  /**
   * Deletes a link, and with a veth its peer. Returns when the link is gone, without waiting for
   * the kernel to free it ({@link LinkDeletion}).
   *
   * @return false if the link does not exist
   * @throws IOException if the kernel refuses, or the socket fails
   */
  public boolean deleteLink(int index) throws IOException {
    return LinkDeletion.run(this, LinkRequests.delete(index), List.of(index));
  }

  /**
   * Returns the socket for the namespace's connection tracking table; it is opened on first use. As
   * the kernel closes a netfilter socket, it waits until the rules that were deleted last are no
   * longer used (nft_rcv_nl_event in net/netfilter/nf_tables_api.c), 10 to 20 ms: a socket that is
   * closed after each use would double the time of an ADD that maps ports.
   *
   * @throws KernelException if it cannot be opened
   */
  public ConntrackSocket conntrack() throws KernelException {
    ConntrackSocket socket = conntrack;
    if (socket == null) {
      socket = CONNTRACK_POOL.acquire(netns, hostIdentity);
      conntrack = socket;
    }
    return socket;
  }

  /**
   * Returns the socket for nf_tables; it is opened on first use.
   *
   * @throws KernelException if it cannot be opened
   */
  public NftablesSocket nftables() throws KernelException {
    NftablesSocket socket = nftables;
    if (socket == null) {
      socket = NFTABLES_POOL.acquire(netns, hostIdentity);
      nftables = socket;
    }
    return socket;
  }

  /**
   * Requires that the kernel has nf_tables and lets this process use it, for STATUS.
   *
   * @throws CniException code 50 if not
   */
  public void requireNftables() throws CniException {
    Optional<String> reason;
    try {
      reason = nftables().unavailabilityReason();
    } catch (IOException e) {
      reason = Optional.of("nf_tables cannot be used: " + e.getMessage());
    }
    if (reason.isPresent()) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, reason.get());
    }
  }

  /**
   * Runs a task on a thread that is in the namespace, and waits for its result.
   *
   * @throws E what the task throws
   * @throws KernelException if the namespace cannot be entered
   */
  public <T, E extends Exception> T callInside(NetNs.Task<T, E> task) throws E, KernelException {
    return netns.isPresent() ? netns.get().call(task) : task.run();
  }

  /**
   * Runs a task on a thread that is in the namespace and has a /sys that shows its devices, and
   * waits for its result.
   *
   * @throws E what the task throws
   * @throws KernelException if the namespace cannot be entered
   */
  public <T, E extends Exception> T callWithPrivateSysfs(NetNs.Task<T, E> task)
      throws E, KernelException {
    return netns.isPresent() ? netns.get().callWithPrivateSysfs(task) : task.run();
  }

  /**
   * Runs a task that reads or writes the namespace's sysctls, and waits for its end.
   *
   * @throws IOException what the task throws, or if the namespace cannot be entered
   */
  public void runSysctl(SysctlTask task) throws IOException {
    this.<Boolean, IOException>callInside(
        () -> {
          task.run(Sysctl.KERNEL);
          return true;
        });
  }

  @Override
  public void close() {
    if (setupTask != null) {
      try {
        setupTask.join().rtnetlink().close();
      } catch (KernelException | RuntimeException | Error e) {
        LOG.get().log(System.Logger.Level.DEBUG, "no socket was opened in " + netns(), e);
      }
    }
    if (rtnetlink != null) {
      release(rtnetlink);
      rtnetlink = null;
    }
    if (nftables != null) {
      NFTABLES_POOL.release(hostIdentity, nftables);
      nftables = null;
    }
    if (conntrack != null) {
      CONNTRACK_POOL.release(hostIdentity, conntrack);
      conntrack = null;
    }
    netns.ifPresent(NetNs::close);
  }

  /** A task that reads or writes sysctls, on a thread in the namespace that they belong to. */
  @FunctionalInterface
  public interface SysctlTask {
    /** Runs the task. */
    void run(Sysctl sysctl) throws IOException;
  }

  /**
   * A task in the container's namespace.
   *
   * @param <E> what it throws besides CniException
   */
  @FunctionalInterface
  public interface ContainerTask<E extends Exception> {
    /** Runs the task; the session is closed afterwards. */
    void run(NetNsSession container) throws CniException, E;
  }
}
