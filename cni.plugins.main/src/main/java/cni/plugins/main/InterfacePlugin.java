package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.BatchedLinkDeletion;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A plugin that makes one interface in the container and nothing on the host. Its addresses come
 * from the ipam plugin; without one it is only set up.
 */
public abstract class InterfacePlugin implements NetworkPlugin {
  private final String kind;

  /**
   * A plugin.
   *
   * @param kind of the links that it makes, as the kernel names it
   */
  public InterfacePlugin(String kind) {
    this.kind = kind;
  }

  @Override
  public String type() {
    return kind;
  }

  /**
   * Makes the interface in the container, under the attachment's name.
   *
   * @throws CniException if that cannot be done; then it is not there
   */
  protected abstract void create(AttachmentRequest request, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException;

  /** Refuses a configuration that cannot be served, before ADD begins. */
  protected void validate(PluginConfig config) throws CniException {}

  /** Compares what this plugin alone knows of, for CHECK. */
  protected void checkLink(
      AttachmentRequest request, Link link, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {}

  /** Refuses what ADD could not be served for, for STATUS. */
  protected void requireReady(NetworkRequest request) throws CniException {}

  /** Whether the network behind the interface can have another host with the same address. */
  protected boolean usesDad() {
    return true;
  }

  /** What the addresses are, if there are any; their interface is not told yet. */
  public Optional<Result> assignAddresses(
      AttachmentRequest request, Rollback rollback, Ipam.Detach disconnection) throws CniException {
    return Ipam.add(request, rollback, disconnection);
  }

  /** What stands before the interface in the result. */
  protected Result baseResult(AttachmentRequest request) {
    return request.prevResult().orElse(Result.EMPTY);
  }

  @Override
  public final Result add(AttachmentRequest request) throws CniException {
    validate(request.config());
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "attaching " + request.attachment().sandbox() + " by " + type(),
          () -> {
            return attach(request, host, sandbox, rollback);
          });
    }
  }

  private Result attach(
      AttachmentRequest request, NetNsSession host, NetNsSession sandbox, Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    createOrThrow(request, host, sandbox);
    Ipam.Detach delete =
        () -> sandbox.rtnetlink().executeIgnoring(LinkRequests.delete(name), Errno.ENODEV);
    rollback.add(delete::detach);
    Link link = sandbox.rtnetlink().links(name).getFirst();
    Optional<Result> assigned = assignAddresses(request, rollback, delete);
    Result made =
        Result.EMPTY.withInterfaces(
            List.of(new Result.Interface(name, link.mac(), 0, request.attachment().sandbox())));
    if (assigned.isEmpty()) {
      sandbox.rtnetlink().execute(LinkRequests.setUp(link.index()));
    } else {
      made = withAddresses(made, assigned.get());
      InterfaceConfigurator.start(sandbox, name, usesDad())
          .apply(link.index(), made, 0, request.context().deadline());
    }
    return baseResult(request).merge(made).withDns(request.config().dns());
  }

  private void createOrThrow(AttachmentRequest request, NetNsSession host, NetNsSession sandbox)
      throws CniException, IOException {
    try {
      create(request, host, sandbox);
    } catch (NetlinkException e) {
      // The kernel also refuses with this number what a device cannot do.
      if (e.is(Errno.EOPNOTSUPP) && String.valueOf(e.getMessage()).contains("nknown device type")) {
        throw new CniException(
            ErrorCode.NOT_AVAILABLE,
            "the kernel lacks %s devices (modprobe %s): %s"
                .formatted(kind, kind.equals("vlan") ? "8021q" : kind, e.getMessage()),
            e);
      }
      throw e;
    }
  }

  /** The interface of the first result with the addresses, routes and resolvers of the second. */
  public static Result withAddresses(Result made, Result assigned) {
    int index = made.interfaces().size() - 1;
    return new Result(
        made.interfaces(),
        assigned.ips().stream().map(ip -> ip.withInterface(index)).toList(),
        assigned.routes(),
        assigned.dns());
  }

  @Override
  public final void check(AttachmentRequest request) throws CniException {
    Ipam.check(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      Link link = checkInterface(request, sandbox, kind);
      checkLink(request, link, host, sandbox);
    } catch (IOException e) {
      throw NetNsSession.failure("checking " + request.attachment().interfaceName(), e);
    }
  }

  /**
   * Compares the attachment's interface, its addresses and the routes with the previous result.
   *
   * @param kind of the link, empty for any
   * @throws CniException for the first thing that differs
   */
  public static Link checkInterface(AttachmentRequest request, NetNsSession sandbox, String kind)
      throws CniException {
    Result result = request.requirePrevResult();
    int index = AttachmentCheck.requireIndex(request, result);
    Result.Interface expected = result.interfaces().get(index);
    String where = "the container (" + expected.sandbox() + ")";
    Link link = AttachmentCheck.requireLink(sandbox, expected, where);
    if (!kind.isEmpty()) {
      AttachmentCheck.requireKind(link, kind, where);
    }
    if (!link.isUp()) {
      throw AttachmentCheck.mismatch(
          "interface " + link.name() + " in " + where + " is down, expected up");
    }
    AttachmentCheck.requireAddresses(sandbox, link, result.ipsOf(index));
    AttachmentCheck.requireRoutes(sandbox, result.routes());
    return link;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Reads no more of the configuration than it needs, so that what a wrong one has begun can be
   * removed.
   */
  @Override
  public final void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> deleteInterface(request, kind));
    } catch (IOException e) {
      throw NetNsSession.failure("deleting " + request.attachment().interfaceName(), e);
    }
  }

  /**
   * Deletes the attachment's interface, if it is of that kind and not another attachment's that was
   * given a namespace at the same path.
   *
   * @return whether it was there
   */
  public static boolean deleteInterface(AttachmentRequest request, String kind)
      throws CniException, IOException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Optional<NetNsSession> there = NetNsSession.openContainerIfPresent(request, host);
      if (there.isEmpty()) {
        return false;
      }
      try (NetNsSession sandbox = there.get()) {
        return BatchedLinkDeletion.delete(host, sandbox, () -> findOwned(request, kind, sandbox));
      }
    }
  }

  private static Optional<Link> findOwned(
      AttachmentRequest request, String kind, NetNsSession sandbox) throws IOException {
    Optional<Link> link = sandbox.rtnetlink().link(request.attachment().interfaceName());
    boolean ours =
        link.isPresent() && link.get().isKind(kind) && !isAnothers(link.get(), request, sandbox);
    return ours ? link : Optional.empty();
  }

  /** Neither its hardware address nor any of its addresses are those of the previous result. */
  private static boolean isAnothers(Link link, AttachmentRequest request, NetNsSession sandbox)
      throws IOException {
    Result previous = request.prevResult().orElse(Result.EMPTY);
    OptionalInt index = previous.indexOf(link.name(), request.attachment().sandbox());
    if (index.isEmpty() || previous.ipsOf(index.getAsInt()).isEmpty()) {
      return false;
    }
    String mac = previous.interfaces().get(index.getAsInt()).mac();
    List<InetAddress> was =
        previous.ipsOf(index.getAsInt()).stream().map(ip -> ip.address().address()).toList();
    return !mac.isEmpty()
        && !mac.equalsIgnoreCase(link.mac())
        && sandbox.rtnetlink().addresses(link.index()).stream()
            .noneMatch(it -> was.contains(it.address()));
  }

  @Override
  public final void gc(GcRequest request) throws CniException {
    Ipam.gc(request);
  }

  @Override
  public final void status(NetworkRequest request) throws CniException {
    validate(request.config());
    Ipam.status(request);
    requireReady(request);
  }
}
