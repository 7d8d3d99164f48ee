// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.AttachmentAlias;
import cni.plugins.support.HostReadiness;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.LoopbackFilter;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * Base class of the plugins that create one interface in the container and nothing on the host. The
 * addresses come from the ipam plugin; without one the interface is only set up.
 */
public abstract class InterfacePlugin implements UpdatablePlugin {
  private final String kind;

  /**
   * Creates the plugin.
   *
   * @param kind the kind of links that it creates, as the kernel names it
   */
  protected InterfacePlugin(String kind) {
    this.kind = kind;
  }

  @Override
  public String type() {
    return kind;
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.INTERFACE);
  }

  /**
   * Creates the interface in the container, down, under the attachment's name.
   *
   * @throws CniException if that fails; the interface then does not exist
   */
  protected abstract void create(
      AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException;

  /**
   * Validates the plugin's own keys, for ADD, STATUS and validation. Reads all of them.
   *
   * @throws CniException code 7 if a value is missing or invalid
   */
  protected void validate(PluginConfig config) throws CniException {}

  /**
   * Compares the plugin-specific properties of the interface.
   *
   * @param link the interface, of the plugin's kind
   * @throws CniException if a desired value is invalid
   */
  protected void compareLink(InterfaceComparison comparison, Link link)
      throws CniException, IOException {}

  /** Whether the interface's hardware address is its own, rather than its parent's. */
  protected boolean hasOwnMac() {
    return true;
  }

  /**
   * Checks that ADD would find on the host what it needs, for STATUS.
   *
   * @throws CniException if not; STATUS reports it with code 50
   */
  protected void requireReady(ConfigObject view, NetNsSession host)
      throws CniException, IOException {}

  /** Whether duplicate address detection can work on the interface. */
  protected boolean usesDad() {
    return true;
  }

  /**
   * Obtains the addresses for the interface, by default from the ipam plugin.
   *
   * @param detach deletes the interface
   * @return a result whose addresses do not name an interface yet; empty for no addresses
   */
  protected Optional<Result> assignAddresses(
      AttachmentRequest request, Rollback rollback, Ipam.Detach detach) throws CniException {
    return Ipam.add(request, rollback, detach);
  }

  /**
   * Returns the result that the interface is appended to, by default the previous result without
   * loopback.
   */
  protected Result baseResult(AttachmentRequest request) {
    return LoopbackFilter.previousResult(request).orElse(Result.EMPTY);
  }

  @Override
  public final Result add(AttachmentRequest request) throws CniException {
    validate(request.config());
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "attaching " + request.attachment().sandbox() + " by " + type(),
          () -> attach(request, host, container, rollback));
    }
  }

  private Result attach(
      AttachmentRequest request, NetNsSession host, NetNsSession container, Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    createOrThrow(request, host, container);
    Ipam.Detach delete =
        () -> container.rtnetlink().executeIgnoring(LinkRequests.delete(name), Errno.ENODEV);
    rollback.add(delete::detach);
    Link link =
        container.rtnetlink().linksAfter(AttachmentAlias.request(request, name), name).getFirst();
    Optional<Result> assigned = assignAddresses(request, rollback, delete);
    Result created =
        Result.EMPTY.withInterfaces(
            List.of(new Result.Interface(name, link.mac(), 0, request.attachment().sandbox())));
    if (assigned.isEmpty()) {
      container.rtnetlink().execute(LinkRequests.setUp(link.index()));
    } else {
      created = ContainerInterface.withAddresses(created, assigned.get());
      InterfaceConfigurator.start(container, name, usesDad())
          .apply(link.index(), created, 0, request.context().deadline());
    }
    return baseResult(request).merge(created).withDns(request.config().dns());
  }

  private void createOrThrow(AttachmentRequest request, NetNsSession host, NetNsSession container)
      throws CniException, IOException {
    try {
      create(request, host, container);
    } catch (NetlinkException e) {
      // EOPNOTSUPP alone may also mean that a device lacks a feature.
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

  @Override
  public final Result compare(UpdateRequest request, Differences differences) throws CniException {
    if (!request.isUnchanged()) {
      validate(request.desired().config());
    }
    var comparison = InterfaceComparison.start(request, differences);
    try {
      Optional<Link> link =
          hasOwnMac() ? comparison.find(kind) : comparison.findWithParentMac(kind);
      if (link.isPresent()) {
        compareLink(comparison.of(Differences.Kind.LINK_SETTING), link.get());
        comparison.compareUpAndAddresses(link.get());
      }
    } catch (IOException e) {
      throw NetNsSession.failure("comparing " + request.desired().attachment().interfaceName(), e);
    }
    return comparison.result();
  }

  /**
   * {@inheritDoc}
   *
   * <p>Reads only the keys that it needs: an attachment must be removable even if the rest of its
   * configuration is invalid.
   */
  @Override
  public final void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> ContainerInterface.delete(request, kind));
    } catch (IOException e) {
      throw NetNsSession.failure("deleting " + request.attachment().interfaceName(), e);
    }
  }

  @Override
  public final void gc(GcRequest request) throws CniException {
    Ipam.gc(request);
  }

  @Override
  public final void validate(NetworkRequest request) throws CniException {
    Ipam.validate(
        request,
        () -> {
          request.config().dns();
          validate(request.config());
        });
  }

  @Override
  public final void status(NetworkRequest request) throws CniException {
    validate(request.config());
    Ipam.status(request);
    HostReadiness.require(request, host -> requireReady(request.config().view(), host));
  }
}
