// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.plugins.support.AddressComparison;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.LinkComparison;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A minimal interface plugin for the tests of dhcp, whose module cannot depend on the real ones: a
 * macvlan device on the link that {@code master} names, configured with the result of IPAM.
 */
public final class TestMacvlanPlugin implements UpdatablePlugin {
  static final String TYPE = "test-macvlan";

  /** Creates the plugin, for {@link java.util.ServiceLoader}. */
  public TestMacvlanPlugin() {}

  @Override
  public String type() {
    return TYPE;
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "attaching by " + TYPE, () -> attach(request, host, container, rollback));
    }
  }

  private static Result attach(
      AttachmentRequest request, NetNsSession host, NetNsSession container, Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    String master = request.config().view().text("master").orElseThrow();
    int masterIndex = host.rtnetlink().link(master).orElseThrow().index();
    LinkSpec macvlan =
        LinkSpec.macvlan(name, masterIndex, LinkConstants.MACVLAN_MODE_BRIDGE, 0)
            .inNamespace(container.netns());
    host.rtnetlink().execute(macvlan.request());
    Ipam.Detach detach = () -> deleteLink(container, name);
    rollback.add(detach::detach);
    Link link = container.rtnetlink().link(name).orElseThrow();
    Result ipam = Ipam.add(request, rollback, detach).orElseThrow();
    Result result =
        new Result(
            List.of(new Result.Interface(name, link.mac(), 0, request.attachment().sandbox())),
            ipam.ips().stream().map(ip -> ip.withInterface(0)).toList(),
            ipam.routes(),
            ipam.dns());
    InterfaceConfigurator.start(container, name, true)
        .apply(link.index(), result, 0, request.context().deadline());
    return result;
  }

  private static void deleteLink(NetNsSession container, String name) throws IOException {
    container.rtnetlink().executeIgnoring(LinkRequests.delete(name), Errno.ENODEV);
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of();
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    AttachmentRequest desired = request.desired();
    Result result = Ipam.compare(request, differences).orElseThrow();
    NetNsSession host = differences.keep(NetNsSession.openHost(desired.context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(desired, host));
    Optional<Link> link =
        LinkComparison.inContainer(container, desired, differences)
            .find(result.interfaces().getFirst(), "macvlan");
    if (link.isPresent()) {
      new AddressComparison(container, link.get(), desired, differences)
          .compare(request.current().requirePrevResult(), result, 0);
    }
    return result;
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Ipam.delete(
          request,
          () ->
              NetNsSession.<IOException>runIfPresent(
                  request,
                  host,
                  container -> deleteLink(container, request.attachment().interfaceName())));
    } catch (IOException e) {
      throw NetNsSession.failure("deleting by " + TYPE, e);
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Ipam.gc(request);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    Ipam.status(request);
  }
}
