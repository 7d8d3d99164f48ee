package cni.plugins.support;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
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
import cni.netlink.ffm.route.RouteSocket;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A network namespace that a plugin works in: the container's or the host's. It holds the namespace
 * and its sockets open until it is closed. For one thread at a time.
 */
public final class NetNsSession implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.support");

  private static final SocketPool<RouteSocket> RTNETLINK_POOL =
      new SocketPool<>(RouteSocket::close);
  private static final SocketPool<NftablesSocket> NFTABLES_POOL =
      new SocketPool<>(NftablesSocket::close);

  private final Optional<NetNs> netns;

  /** Of a host, whose sockets are kept for the next operation. */
  private final Optional<NetNs.Identity> hostIdentity;

  private @Nullable RouteSocket rtnetlink;
  private @Nullable NftablesSocket nftables;
  private NetNs.@Nullable PendingTask<SysctlOutcome, KernelException> sysctlTask;

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
   * @throws CniException code 8 if its path does not lead to a network namespace, or leads to the
   *     host's; code 4 if the request has no path
   */
  public static NetNsSession openContainer(AttachmentRequest request, NetNsSession host)
      throws CniException {
    NetNs netns = open(request.requireNamespace(), "the container's network namespace");
    return requireNotHost(request, container(netns), netns, host);
  }

  /**
   * Opens the container's namespace if it still exists, for DEL.
   *
   * @throws CniException code 8 if the path leads to the host's namespace or cannot be opened
   */
  public static Optional<NetNsSession> openContainerIfPresent(
      AttachmentRequest request, NetNsSession host) throws CniException {
    Optional<Path> path = request.attachment().namespace();
    if (path.isEmpty()) {
      return Optional.empty();
    }
    try {
      NetNs netns = NetNs.open(path.get());
      return Optional.of(requireNotHost(request, container(netns), netns, host));
    } catch (KernelException e) {
      // A namespace that is gone leaves no file, or the bare file that it had been mounted on.
      if (e.is(Errno.ENOENT) || e instanceof NotNamespaceException) {
        return Optional.empty();
      }
      throw unusable(path.get(), "the container's network namespace", e);
    }
  }

  /** What is meant for a container must not be done to the host, unless the caller says so. */
  private static NetNsSession requireNotHost(
      AttachmentRequest request, NetNsSession container, NetNs netns, NetNsSession host)
      throws CniException {
    boolean apart = request.context().allowsHostNamespace();
    try {
      apart |= !netns.identity().equals(host.hostIdentity());
    } catch (KernelException e) {
      throw failure("telling namespaces apart", e);
    } finally {
      if (!apart) {
        container.close();
      }
    }
    if (!apart) {
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
      throw failure("telling namespaces apart", e);
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
              "does not exist; \"ip netns list\" shows those that have names";
          default -> "cannot be opened: " + e.getMessage();
        };
    return new CniException(ErrorCode.INVALID_NAMESPACE, role + " " + path + " " + why, e);
  }

  /** The error for something that the kernel refused to do. */
  public static CniException failure(String what, IOException e) {
    return IoErrors.failure(what, e);
  }

  /**
   * A container's namespace itself, for creating interfaces in it.
   *
   * @throws IllegalStateException for the namespace of this process
   */
  public NetNs netns() {
    return netns.orElseThrow(IllegalStateException::new);
  }

  /** What tells a host's namespace apart from others. */
  NetNs.Identity hostIdentity() {
    return hostIdentity.orElseThrow();
  }

  /** What came of {@link #submitSysctl}. */
  private record SysctlOutcome(RouteSocket rtnetlink, Optional<Throwable> failure) {}

  /**
   * Begins to open what {@link #rtnetlink} gives, and to do some work inside the container's
   * namespace, in one go and on a thread of its own, while the caller goes on.
   */
  public void submitSysctl(SysctlTask work) {
    RouteSocket before = rtnetlink;
    sysctlTask =
        netns()
            .submit(
                () -> {
                  RouteSocket open = before == null ? RouteSocket.open() : before;
                  try {
                    work.run(Sysctl.KERNEL);
                    return new SysctlOutcome(open, Optional.empty());
                  } catch (Throwable e) { // told by awaitEntry; the socket is good
                    return new SysctlOutcome(open, Optional.of(e));
                  }
                });
  }

  /**
   * Waits until the work that {@link #submitSysctl} began is done.
   *
   * @throws IOException what the work throws, or if the namespace cannot be entered
   */
  public void joinSysctl() throws IOException {
    Optional<Throwable> failure =
        sysctlTask == null ? Optional.empty() : sysctlTask.join().failure();
    if (failure.isPresent()) { // only then, as a process's first such switch takes milliseconds
      switch (failure.get()) {
        case IOException e -> throw e;
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        default -> throw new IllegalStateException(failure.get());
      }
    }
  }

  /**
   * Its links, addresses and routes.
   *
   * @throws KernelException if its socket cannot be opened
   */
  public RouteSocket rtnetlink() throws KernelException {
    RouteSocket open = rtnetlink;
    if (open == null && sysctlTask != null) {
      return sysctlTask.join().rtnetlink();
    }
    if (open == null) {
      Optional<RouteSocket> idle = hostIdentity.flatMap(RTNETLINK_POOL::acquire);
      open = idle.isPresent() ? idle.get() : openRtnetlink();
      rtnetlink = open;
    }
    return open;
  }

  private RouteSocket openRtnetlink() throws KernelException {
    return netns.isPresent() ? RouteSocket.open(netns.get()) : RouteSocket.open();
  }

  /**
   * Opens the list of its connections, which the caller closes.
   *
   * @throws KernelException if its socket cannot be opened
   */
  public ConntrackSocket openConntrack() throws KernelException {
    return netns.isPresent() ? ConntrackSocket.open(netns.get()) : ConntrackSocket.open();
  }

  /**
   * Its packet filter.
   *
   * @throws KernelException if its socket cannot be opened
   */
  public NftablesSocket nftables() throws KernelException {
    NftablesSocket open = nftables;
    if (open == null) {
      Optional<NftablesSocket> idle = hostIdentity.flatMap(NFTABLES_POOL::acquire);
      open = idle.isPresent() ? idle.get() : openNftables();
      nftables = open;
    }
    return open;
  }

  private NftablesSocket openNftables() throws KernelException {
    return netns.isPresent() ? NftablesSocket.open(netns.get()) : NftablesSocket.open();
  }

  /**
   * Requires that rules can be made here, for STATUS.
   *
   * @throws CniException code 50 if they cannot
   */
  public void requireNftables() throws CniException {
    Optional<String> why;
    try {
      why = nftables().unavailabilityReason();
    } catch (IOException e) {
      why = Optional.of("nf_tables cannot be used: " + e.getMessage());
    }
    if (why.isPresent()) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, why.get());
    }
  }

  /**
   * Does something on a thread that is in the namespace.
   *
   * @throws E what the work throws
   * @throws KernelException if the namespace cannot be entered
   */
  public <T, E extends Exception> T callInside(NetNs.Task<T, E> work) throws E, KernelException {
    return netns.isPresent() ? netns.get().call(work) : work.run();
  }

  /**
   * Does something on a thread for which /sys shows the devices of the namespace.
   *
   * @throws E what the work throws
   * @throws KernelException if the namespace cannot be entered
   */
  public <T, E extends Exception> T callWithPrivateSysfs(NetNs.Task<T, E> work)
      throws E, KernelException {
    return netns.isPresent() ? netns.get().callWithPrivateSysfs(work) : work.run();
  }

  /**
   * Does something with the namespace's kernel parameters.
   *
   * @throws IOException what the work throws, or if the namespace cannot be entered
   */
  public void runSysctl(SysctlTask work) throws IOException {
    this.<Boolean, IOException>callInside(
        () -> {
          work.run(Sysctl.KERNEL);
          return true;
        });
  }

  @Override
  public void close() {
    if (sysctlTask != null) {
      try {
        sysctlTask.join().rtnetlink().close();
      } catch (KernelException | RuntimeException | Error e) {
        LOG.get().log(System.Logger.Level.DEBUG, "nothing was opened in " + netns(), e);
      }
    }
    if (rtnetlink != null) {
      releaseOrClose(rtnetlink, rtnetlink.isReusable(), RTNETLINK_POOL, RouteSocket::close);
      rtnetlink = null;
    }
    if (nftables != null) {
      releaseOrClose(nftables, nftables.isReusable(), NFTABLES_POOL, NftablesSocket::close);
      nftables = null;
    }
    netns.ifPresent(NetNs::close);
  }

  private <S> void releaseOrClose(S socket, boolean whole, SocketPool<S> idle, Consumer<S> close) {
    if (whole && hostIdentity.isPresent()) {
      idle.release(hostIdentity.get(), socket);
    } else {
      close.accept(socket);
    }
  }

  /** What is done with kernel parameters. */
  @FunctionalInterface
  public interface SysctlTask {
    /** Does it. */
    void run(Sysctl sysctl) throws IOException;
  }
}
