package cni.sandbox;

import static cni.sandbox.Log.LOG;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.NotNamespaceException;
import cni.netlink.ffm.Sysctl;
import cni.netlink.ffm.netfilter.Conntrack;
import cni.netlink.ffm.netfilter.Nftables;
import cni.netlink.ffm.route.Rtnetlink;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A network namespace that a plugin works in: the container's or the host's. It holds the namespace
 * and its sockets open until it is closed. For one thread at a time.
 */
public final class Namespace implements AutoCloseable {
  private static final IdleSockets<Rtnetlink> IDLE_ROUTING = new IdleSockets<>(Rtnetlink::close);
  private static final IdleSockets<Nftables> IDLE_NFTABLES = new IdleSockets<>(Nftables::close);

  private final Optional<NetNs> netns;

  /** Of a host, whose sockets are kept for the next operation. */
  private final Optional<NetNs.Identity> hostIdentity;

  private @Nullable Rtnetlink routing;
  private @Nullable Nftables nftables;
  private NetNs.@Nullable Visit<Entry, KernelException> entry;

  private Namespace(Optional<NetNs> netns, Optional<NetNs.Identity> hostIdentity) {
    this.netns = netns;
    this.hostIdentity = hostIdentity;
  }

  private static Namespace container(NetNs netns) {
    return new Namespace(Optional.of(netns), Optional.empty());
  }

  /**
   * Opens the container's namespace.
   *
   * @throws CniException code 8 if its path does not lead to a network namespace, or leads to the
   *     host's; code 4 if the request has no path
   */
  public static Namespace ofContainer(AttachmentRequest request, Namespace host)
      throws CniException {
    NetNs netns = open(request.requireNamespace(), "the container's network namespace");
    return requireApart(request, container(netns), netns, host);
  }

  /**
   * Opens the container's namespace if it still exists, for DEL.
   *
   * @throws CniException code 8 if the path leads to the host's namespace or cannot be opened
   */
  public static Optional<Namespace> ofContainerIfPresent(AttachmentRequest request, Namespace host)
      throws CniException {
    Optional<Path> path = request.attachment().namespace();
    if (path.isEmpty()) {
      return Optional.empty();
    }
    try {
      NetNs netns = NetNs.open(path.get());
      return Optional.of(requireApart(request, container(netns), netns, host));
    } catch (KernelException e) {
      // A namespace that is gone leaves no file, or the bare file that it had been mounted on.
      if (e.is(Errno.ENOENT) || e instanceof NotNamespaceException) {
        return Optional.empty();
      }
      throw notUsable(path.get(), "the container's network namespace", e);
    }
  }

  /** What is meant for a container must not be done to the host, unless the caller says so. */
  private static Namespace requireApart(
      AttachmentRequest request, Namespace container, NetNs netns, Namespace host)
      throws CniException {
    boolean apart = request.context().sameNamespace();
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
  public static Namespace ofHost(CallContext context) throws CniException {
    Optional<Path> path = context.hostNamespace();
    Optional<NetNs> netns =
        path.isEmpty()
            ? Optional.empty()
            : Optional.of(open(path.get(), "the host's network namespace"));
    try {
      NetNs.Identity identity = netns.isPresent() ? netns.get().identity() : NetNs.own();
      return new Namespace(netns, Optional.of(identity));
    } catch (KernelException e) {
      netns.ifPresent(NetNs::close);
      throw failure("telling namespaces apart", e);
    }
  }

  private static NetNs open(Path path, String role) throws CniException {
    try {
      return NetNs.open(path);
    } catch (KernelException e) {
      throw notUsable(path, role, e);
    }
  }

  private static CniException notUsable(Path path, String role, KernelException e) {
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
    // An exception of Java's own says in its message no more than the file.
    String why =
        e instanceof NoSuchFileException ? e.getMessage() + " does not exist" : e.getMessage();
    return new CniException(ErrorCode.INTERNAL, what + ": " + why, e);
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

  /** What came of {@link #enter}. */
  private record Entry(Rtnetlink routing, Optional<Throwable> failure) {}

  /**
   * Begins to open what {@link #routing} gives, and to do some work inside the container's
   * namespace, in one go and on a thread of its own, while the caller goes on.
   */
  public void enter(SysctlWork work) {
    Rtnetlink before = routing;
    entry =
        netns()
            .begin(
                () -> {
                  Rtnetlink open = before == null ? Rtnetlink.open() : before;
                  try {
                    work.with(Sysctl.KERNEL);
                    return new Entry(open, Optional.empty());
                  } catch (Throwable e) { // told by awaitEntry; the socket is good
                    return new Entry(open, Optional.of(e));
                  }
                });
  }

  /**
   * Waits until the work that {@link #enter} began is done.
   *
   * @throws IOException what the work throws, or if the namespace cannot be entered
   */
  public void awaitEntry() throws IOException {
    Optional<Throwable> failure = entry == null ? Optional.empty() : entry.await().failure();
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
  public Rtnetlink routing() throws KernelException {
    Rtnetlink open = routing;
    if (open == null && entry != null) {
      return entry.await().routing();
    }
    if (open == null) {
      Optional<Rtnetlink> idle = hostIdentity.flatMap(IDLE_ROUTING::take);
      open = idle.isPresent() ? idle.get() : openRouting();
      routing = open;
    }
    return open;
  }

  private Rtnetlink openRouting() throws KernelException {
    return netns.isPresent() ? Rtnetlink.open(netns.get()) : Rtnetlink.open();
  }

  /**
   * Opens the list of its connections, which the caller closes.
   *
   * @throws KernelException if its socket cannot be opened
   */
  public Conntrack connections() throws KernelException {
    return netns.isPresent() ? Conntrack.open(netns.get()) : Conntrack.open();
  }

  /**
   * Its packet filter.
   *
   * @throws KernelException if its socket cannot be opened
   */
  public Nftables nftables() throws KernelException {
    Nftables open = nftables;
    if (open == null) {
      Optional<Nftables> idle = hostIdentity.flatMap(IDLE_NFTABLES::take);
      open = idle.isPresent() ? idle.get() : openNftables();
      nftables = open;
    }
    return open;
  }

  private Nftables openNftables() throws KernelException {
    return netns.isPresent() ? Nftables.open(netns.get()) : Nftables.open();
  }

  /**
   * Requires that rules can be made here, for STATUS.
   *
   * @throws CniException code 50 if they cannot
   */
  public void requireNftables() throws CniException {
    Optional<String> why;
    try {
      why = nftables().unavailable();
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
  public <T, E extends Exception> T inside(NetNs.Task<T, E> work) throws E, KernelException {
    return netns.isPresent() ? netns.get().call(work) : work.run();
  }

  /**
   * Does something on a thread for which /sys shows the devices of the namespace.
   *
   * @throws E what the work throws
   * @throws KernelException if the namespace cannot be entered
   */
  public <T, E extends Exception> T withSys(NetNs.Task<T, E> work) throws E, KernelException {
    return netns.isPresent() ? netns.get().callWithSys(work) : work.run();
  }

  /**
   * Does something with the namespace's kernel parameters.
   *
   * @throws IOException what the work throws, or if the namespace cannot be entered
   */
  public void withSysctl(SysctlWork work) throws IOException {
    this.<Boolean, IOException>inside(
        () -> {
          work.with(Sysctl.KERNEL);
          return true;
        });
  }

  @Override
  public void close() {
    if (entry != null) {
      try {
        entry.await().routing().close();
      } catch (KernelException | RuntimeException | Error e) {
        LOG.log(System.Logger.Level.DEBUG, "nothing was opened in " + netns(), e);
      }
    }
    if (routing != null) {
      leave(routing, routing.isWhole(), IDLE_ROUTING, Rtnetlink::close);
      routing = null;
    }
    if (nftables != null) {
      leave(nftables, nftables.isWhole(), IDLE_NFTABLES, Nftables::close);
      nftables = null;
    }
    netns.ifPresent(NetNs::close);
  }

  private <S> void leave(S socket, boolean whole, IdleSockets<S> idle, Consumer<S> close) {
    if (whole && hostIdentity.isPresent()) {
      idle.give(hostIdentity.get(), socket);
    } else {
      close.accept(socket);
    }
  }

  /** What is done with kernel parameters. */
  @FunctionalInterface
  public interface SysctlWork {
    /** Does it. */
    void with(Sysctl sysctl) throws IOException;
  }
}
