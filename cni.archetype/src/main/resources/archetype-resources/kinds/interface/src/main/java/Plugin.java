package ${package};

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkSpec;
import cni.netlink.ffm.route.Route;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.DuplicateInterfaceName;
import cni.plugins.support.InterfaceConfigurator;
import cni.plugins.support.Ipam;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;

/**
 * An interface plugin that connects the container to the host by a veth pair of the configuration's
 * {@code mtu}. The addresses come from the ipam plugin; without one the interface is only set up.
 */
public final class Plugin implements NetworkPlugin {
  private static final int MIN_MTU = 68;
  private static final int MAX_MTU = 65_535;

  /** The positions of the interfaces in the result. */
  private static final int CONTAINER_END = 1;

  /** For ServiceLoader. */
  public Plugin() {}

  @Override
  public String type() {
    return "${artifactId}";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.INTERFACE);
  }

  /**
   * Reads the MTU from a configuration, in bytes; 0 for the kernel's default.
   *
   * @throws CniException code 7 if it is not a number, or out of range
   */
  static int mtu(PluginConfig config) throws CniException {
    return config.view().integer("mtu", MIN_MTU, MAX_MTU).orElse(0);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    int mtu = mtu(request.config()); // before anything is changed
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      // Inside the try block: the steps that undo a failed ADD need the sessions that it closes.
      return rollback.guard(
          "creating interface " + request.attachment().interfaceName(),
          () -> attach(request, host, container, mtu, rollback));
    }
  }

  private static Result attach(
      AttachmentRequest request,
      NetNsSession host,
      NetNsSession container,
      int mtu,
      Rollback rollback)
      throws CniException, IOException {
    String name = request.attachment().interfaceName();
    String hostEnd = createPair(request, host, container, mtu);
    Ipam.Detach delete =
        () -> host.rtnetlink().executeIgnoring(LinkRequests.delete(hostEnd), Errno.ENODEV);
    rollback.add(delete::detach); // after each change the step that undoes it
    Link link = container.rtnetlink().link(name).orElseThrow();
    Result created =
        Result.EMPTY.withInterfaces(
            List.of(
                new Result.Interface(hostEnd, "", 0, ""),
                new Result.Interface(name, link.mac(), 0, request.attachment().sandbox())));
    Optional<Result> assigned = Ipam.add(request, rollback, delete);
    if (assigned.isPresent()) {
      created = withAddresses(created, assigned.get());
      InterfaceConfigurator.start(container, name, true)
          .apply(link.index(), created, CONTAINER_END, request.context().deadline());
    } else {
      container.rtnetlink().execute(LinkRequests.setUp(link.index()));
    }
    return request.prevResult().orElse(Result.EMPTY).merge(created).withDns(request.config().dns());
  }

  /** Creates the pair, with the container's end in its namespace, and returns the host's end. */
  private static String createPair(
      AttachmentRequest request, NetNsSession host, NetNsSession container, int mtu)
      throws CniException, IOException {
    String hostEnd = VethPair.randomName();
    LinkSpec peer = LinkSpec.peer(request.attachment().interfaceName());
    LinkSpec pair = LinkSpec.veth(hostEnd, peer.inNamespace(container.netns())).up();
    if (mtu != 0) {
      peer.mtu(mtu);
      pair.mtu(mtu);
    }
    try {
      host.rtnetlink().execute(pair.request());
    } catch (NetlinkException e) {
      if (e.is(Errno.EEXIST)) {
        throw DuplicateInterfaceName.error(request.attachment(), e);
      }
      throw e;
    }
    return hostEnd;
  }

  private static Result withAddresses(Result created, Result assigned) {
    List<Result.IpConfig> ips =
        assigned.ips().stream().map(ip -> ip.withInterface(CONTAINER_END)).toList();
    return new Result(created.interfaces(), ips, assigned.routes(), assigned.dns());
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    Result expected = request.requirePrevResult();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      Link link = AttachmentCheck.requireInterface(request, container);
      int index = AttachmentCheck.requireIndex(request, expected);
      List<InterfaceAddress> addresses = container.rtnetlink().addresses(link.index());
      for (Result.IpConfig ip : expected.ipsOf(index)) {
        InetAddress address = ip.address().address();
        if (addresses.stream().noneMatch(it -> it.address().equals(address))) {
          throw AttachmentCheck.mismatch(ip.address() + " is missing from " + link.name());
        }
      }
      for (Result.Route route : expected.routes()) {
        requireRoute(container, route);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("reading the interface", e);
    }
    Optional<String> ipam = request.config().ipamType();
    if (ipam.isPresent()) {
      request.context().delegates().find(ipam.get()).check(request);
    }
  }

  private static void requireRoute(NetNsSession container, Result.Route route)
      throws CniException, IOException {
    InetAddress network = route.destination().address();
    int prefix = route.destination().prefix();
    for (Route it : container.rtnetlink().routes(IpFamily.of(network))) {
      if (it.hasDestination(network, prefix)) {
        return;
      }
    }
    throw AttachmentCheck.mismatch("the route to " + route.destination() + " is missing");
  }

  /** Succeeds if the namespace, the interface or the previous result is missing. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> deleteInterface(request));
    } catch (IOException e) {
      throw NetNsSession.failure("deleting the interface", e);
    }
  }

  /** Deletes the container's end, and with it the host's. */
  private static void deleteInterface(AttachmentRequest request) throws CniException, IOException {
    String name = request.attachment().interfaceName();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.<IOException>runIfPresent(
          request,
          host,
          container ->
              container.rtnetlink().executeIgnoring(LinkRequests.delete(name), Errno.ENODEV));
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Ipam.gc(request);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    mtu(request.config());
    Ipam.status(request);
  }
}
