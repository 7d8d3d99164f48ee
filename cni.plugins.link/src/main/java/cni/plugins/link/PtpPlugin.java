package cni.plugins.link;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.route.Link;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Attempt;
import cni.sandbox.Ipam;
import cni.sandbox.Masquerade;
import cni.sandbox.Namespace;
import cni.sandbox.RuleBackend;
import cni.sandbox.VethPair;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * Connects a container to the host by a veth of its own, whose end on the host has the gateway's
 * address: whatever the container sends, the host routes.
 */
public final class PtpPlugin implements NetworkPlugin {
  private static final String VETH = "veth";
  private static final int LARGEST_MTU = 65535;

  /** The plugin as the runtime makes it. */
  public PtpPlugin() {}

  @Override
  public String type() {
    return "ptp";
  }

  private static int mtu(PluginConfig config) throws CniException {
    return config.view().integer("mtu", 0, LARGEST_MTU).orElse(0);
  }

  private static void requireIpam(PluginConfig config) throws CniException {
    if (config.ipamType().isEmpty()) {
      throw config.view().invalid("ipam", "is missing: ptp needs addresses for both ends");
    }
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    requireIpam(request.config());
    int mtu = mtu(request.config());
    Optional<RuleBackend> masquerade = Masquerade.wanted(request.config().view());
    var rollback = new Rollback();
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      return Attempt.orTakeBack(
          "attaching " + request.attachment().sandbox() + " by ptp",
          rollback,
          () -> {
            var pair = new PointToPoint(request, host, sandbox);
            Result result = pair.connect(mtu, rollback);
            if (masquerade.isPresent()) {
              var rules = rules(request, host);
              rules.add(masquerade.get(), result.ips().stream().map(it -> it.address()).toList());
              rollback.add(rules::delete);
            }
            Result whole = request.prevResult().orElse(Result.EMPTY).plus(result);
            return whole.withDns(request.config().dns());
          });
    }
  }

  private static Masquerade rules(AttachmentRequest request, Namespace host) throws CniException {
    return new Masquerade(host, request.config().network(), request.attachment().id());
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    Ipam.check(request);
    Optional<RuleBackend> masquerade = Masquerade.wanted(request.config().view());
    try (Namespace host = Namespace.ofHost(request.context());
        Namespace sandbox = Namespace.ofContainer(request, host)) {
      Link link = InterfacePlugin.requireInterface(request, sandbox, VETH);
      Result result = request.requirePrevResult();
      List<Result.IpConfig> ips = result.ipsOf(AttachmentCheck.requireIndex(request, result));
      new PointToPoint(request, host, sandbox).check(link, result, ips);
      if (masquerade.isPresent()) {
        rules(request, host)
            .check(masquerade.get(), ips.stream().map(Result.IpConfig::address).toList());
      }
    } catch (IOException e) {
      throw Namespace.failure("checking " + request.attachment().interfaceName(), e);
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> deletePair(request));
    } catch (IOException e) {
      throw Namespace.failure("deleting " + request.attachment().interfaceName(), e);
    } finally {
      if (request.config().view().bool("ipMasq")) {
        try (Namespace host = Namespace.ofHost(request.context())) {
          rules(request, host).delete();
        }
      }
    }
  }

  /** By its end in the container; where that is not found, by the one on the host. */
  private static void deletePair(AttachmentRequest request) throws CniException, IOException {
    if (!InterfacePlugin.deleteLink(request, VETH)) {
      try (Namespace host = Namespace.ofHost(request.context())) {
        for (Result.Interface end : request.prevResult().orElse(Result.EMPTY).interfaces()) {
          VethPair.deleteHostEnd(host, end);
        }
      }
    }
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    try {
      Ipam.collect(request);
    } finally {
      collectRules(request);
    }
  }

  private static void collectRules(CollectRequest request) throws CniException {
    if (request.config().view().bool("ipMasq")) {
      try (Namespace host = Namespace.ofHost(request.context())) {
        Masquerade.collect(host, request.config().network(), request.valid());
      }
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    mtu(request.config());
    boolean rules = Masquerade.wanted(request.config().view()).isPresent();
    requireIpam(request.config());
    Ipam.status(request);
    if (rules) {
      try (Namespace host = Namespace.ofHost(request.context())) {
        host.requireNftables();
      }
    }
  }
}
