// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.loopback;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.support.HostReadiness;
import cni.plugins.support.InterfaceCidrs;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * The loopback plugin: sets the container's loopback interface up; the kernel then adds its
 * addresses. The interface name of the request is ignored: the interface is always {@code lo}.
 */
public final class LoopbackPlugin implements UpdatablePlugin {
  private static final String LO = "lo";

  /** Creates the plugin, for the service loader. */
  public LoopbackPlugin() {}

  @Override
  public String type() {
    return "loopback";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.OTHER);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      Link lo = loopback(container);
      container.rtnetlink().execute(LinkRequests.setUp(lo.index()));
      List<Result.IpConfig> ips;
      try {
        ips = addresses(container, lo);
      } catch (CniException | IOException e) {
        if (!lo.isUp()) { // as it was before
          container.rtnetlink().execute(LinkRequests.setDown(lo.index()));
        }
        throw e;
      }
      // In a chain the result of the earlier plugins is passed on unchanged.
      return request
          .prevResult()
          .orElseGet(() -> describe(lo, ips, request.attachment().sandbox()));
    } catch (IOException e) {
      throw NetNsSession.failure("setting interface lo up", e);
    }
  }

  private static Result describe(Link lo, List<Result.IpConfig> ips, String sandboxPath) {
    var described = new Result.Interface(LO, lo.mac(), 0, sandboxPath);
    return Result.EMPTY.withInterfaces(List.of(described)).withIps(ips);
  }

  private static List<Result.IpConfig> addresses(NetNsSession container, Link lo)
      throws CniException, IOException {
    List<Result.IpConfig> ips = new ArrayList<>();
    for (Cidr address : InterfaceCidrs.list(container, lo.index())) {
      if (!address.address().isLoopbackAddress()) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "interface lo has address " + address + ", which is not a loopback address");
      }
      ips.add(new Result.IpConfig(address, Optional.empty(), OptionalInt.of(0)));
    }
    return ips;
  }

  /** Returns none: the plugin has no keys. */
  @Override
  public Set<String> changeableKeys() {
    return Set.of();
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    // The result only lists lo if no earlier plugin of the chain returned one.
    Result result = request.desired().prevResult().orElse(Result.EMPTY);
    var comparison = InterfaceComparison.open(request, result, differences);
    Optional<Link> lo = comparison.links().find(LO);
    if (lo.isPresent()) {
      comparison.links().compareUp(lo.get());
      OptionalInt index = result.indexOf(LO, request.desired().attachment().sandbox());
      if (index.isPresent()) {
        comparison.addresses(lo.get()).compareAddresses(result.ipsOf(index.getAsInt()));
      }
    }
    return result;
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.runIfPresent(
          request,
          host,
          container ->
              container.rtnetlink().execute(LinkRequests.setDown(loopback(container).index())));
    } catch (IOException e) {
      throw NetNsSession.failure("setting interface lo down", e);
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    request.config().dns(); // part of the previous result only, but every configuration may have it
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    HostReadiness.require(request, host -> {}); // that its namespace exists
  }

  private static Link loopback(NetNsSession container) throws CniException, IOException {
    return container
        .rtnetlink()
        .link(LO)
        .orElseThrow(
            () -> new CniException(ErrorCode.INTERNAL, "the container has no interface lo"));
  }
}
