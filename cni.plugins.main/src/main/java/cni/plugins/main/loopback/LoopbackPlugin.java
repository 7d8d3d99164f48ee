package cni.plugins.main.loopback;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.Result;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.InterfaceAddresses;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Sets a container's loopback interface up; the kernel gives it its addresses. The interface name
 * of the request does not matter: it is always {@code lo}.
 */
public final class LoopbackPlugin implements NetworkPlugin {
  private static final String LO = "lo";

  /** The plugin as the runtime makes it. */
  public LoopbackPlugin() {}

  @Override
  public String type() {
    return "loopback";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      Link lo = loopback(sandbox);
      sandbox.rtnetlink().execute(LinkRequests.setUp(lo.index()));
      List<Result.IpConfig> ips;
      try {
        ips = addresses(sandbox, lo);
      } catch (CniException | IOException e) {
        if (!lo.isUp()) { // before
          sandbox.rtnetlink().execute(LinkRequests.setDown(lo.index()));
        }
        throw e;
      }
      // What an earlier plugin of the chain made is what the caller wants to know.
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

  private static List<Result.IpConfig> addresses(NetNsSession sandbox, Link lo)
      throws CniException, IOException {
    List<Result.IpConfig> ips = new ArrayList<>();
    for (InterfaceAddress it : sandbox.rtnetlink().addresses(lo.index())) {
      Cidr cidr = InterfaceAddresses.cidr(it);
      if (!it.address().isLoopbackAddress()) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "interface lo has address " + cidr + ", which is not a loopback address");
      }
      ips.add(new Result.IpConfig(cidr, Optional.empty(), OptionalInt.of(0)));
    }
    return ips;
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      Link lo = loopback(sandbox);
      if (!lo.isUp()) {
        throw AttachmentCheck.mismatch("interface lo is down, expected up");
      }
      // The result is this plugin's own only where no other made an interface before it.
      Result result = request.prevResult().orElse(Result.EMPTY);
      OptionalInt index = result.indexOf(LO, request.attachment().sandbox());
      if (index.isPresent()) {
        AttachmentCheck.requireAddresses(sandbox, lo, result.ipsOf(index.getAsInt()));
      }
    } catch (IOException e) {
      throw NetNsSession.failure("checking interface lo", e);
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Optional<NetNsSession> there = NetNsSession.openContainerIfPresent(request, host);
      if (there.isPresent()) {
        try (NetNsSession sandbox = there.get()) {
          sandbox.rtnetlink().execute(LinkRequests.setDown(loopback(sandbox).index()));
        }
      }
    } catch (IOException e) {
      throw NetNsSession.failure("setting interface lo down", e);
    }
  }

  private static Link loopback(NetNsSession sandbox) throws CniException, IOException {
    return sandbox
        .rtnetlink()
        .link(LO)
        .orElseThrow(
            () -> new CniException(ErrorCode.INTERNAL, "the container has no interface lo"));
  }
}
