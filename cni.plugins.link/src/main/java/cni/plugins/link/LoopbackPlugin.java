package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkPlugin;
import cni.api.Result;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Namespace;
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
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      Link lo = loopback(sandbox);
      sandbox.routing().execute(LinkRequests.setUp(lo.index()));
      List<Result.IpConfig> ips;
      try {
        ips = addresses(sandbox, lo);
      } catch (CniException | IOException e) {
        if (!lo.isUp()) { // before
          sandbox.routing().execute(LinkRequests.setDown(lo.index()));
        }
        throw e;
      }
      // What an earlier plugin of the chain made is what the caller wants to know.
      return request
          .prevResult()
          .orElseGet(() -> describe(lo, ips, request.attachment().sandbox()));
    } catch (IOException e) {
      throw Namespace.failure("setting interface lo up", e);
    }
  }

  private static Result describe(Link lo, List<Result.IpConfig> ips, String sandboxPath) {
    var described = new Result.Interface(LO, lo.mac(), 0, sandboxPath);
    return Result.EMPTY.withInterfaces(List.of(described)).withIps(ips);
  }

  private static List<Result.IpConfig> addresses(Namespace sandbox, Link lo)
      throws CniException, IOException {
    List<Result.IpConfig> ips = new ArrayList<>();
    for (InterfaceAddress it : sandbox.routing().addresses(lo.index())) {
      if (!it.address().isLoopbackAddress()) {
        throw new CniException(
            ErrorCode.INTERNAL,
            "interface lo has address "
                + new Cidr(it.address(), it.prefix())
                + ", which is not a loopback address");
      }
      Cidr cidr = new Cidr(it.address(), it.prefix());
      ips.add(new Result.IpConfig(cidr, Optional.empty(), OptionalInt.of(0)));
    }
    return ips;
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      Link lo = loopback(sandbox);
      if (!lo.isUp()) {
        throw AttachmentCheck.differs("interface lo is down, expected up");
      }
      // The result is this plugin's own only where no other made an interface before it.
      Result result = request.prevResult().orElse(Result.EMPTY);
      OptionalInt index = result.indexOf(LO, request.attachment().sandbox());
      if (index.isPresent()) {
        AttachmentCheck.requireAddresses(sandbox, lo, result.ipsOf(index.getAsInt()));
      }
    } catch (IOException e) {
      throw Namespace.failure("checking interface lo", e);
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (Namespace host = Namespace.ofHost(request.context())) {
      Optional<Namespace> there = Namespace.ofContainerIfPresent(request, host);
      if (there.isPresent()) {
        try (Namespace sandbox = there.get()) {
          sandbox.routing().execute(LinkRequests.setDown(loopback(sandbox).index()));
        }
      }
    } catch (IOException e) {
      throw Namespace.failure("setting interface lo down", e);
    }
  }

  private static Link loopback(Namespace sandbox) throws CniException, IOException {
    return sandbox
        .routing()
        .link(LO)
        .orElseThrow(
            () -> new CniException(ErrorCode.INTERNAL, "the container has no interface lo"));
  }
}
