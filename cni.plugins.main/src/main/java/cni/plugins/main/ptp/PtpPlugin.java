// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main.ptp;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.plugins.main.ContainerInterface;
import cni.plugins.main.InterfaceComparison;
import cni.plugins.support.HostReadiness;
import cni.plugins.support.Ipam;
import cni.plugins.support.LoopbackFilter;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.VethPair;
import java.io.IOException;
import java.util.Optional;
import java.util.Set;

/**
 * The ptp plugin: connects a container to the host by a veth whose host end has the gateway's
 * address. The host routes everything that the container sends.
 */
public final class PtpPlugin implements UpdatablePlugin {
  private static final String VETH = "veth";
  private static final int MAX_MTU = 65535;

  /** Creates the plugin, for the service loader. */
  public PtpPlugin() {}

  @Override
  public String type() {
    return "ptp";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.INTERFACE);
  }

  private static int mtu(PluginConfig config) throws CniException {
    return config.view().integer("mtu", 0, MAX_MTU).orElse(0);
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
    Optional<RuleBackend> masquerade = Masquerade.requestedBackend(request.config().view());
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "attaching " + request.attachment().sandbox() + " by ptp",
          () -> {
            var link = new PointToPointLink(request, host, container);
            Result result = link.create(mtu, rollback);
            if (masquerade.isPresent()) {
              var rules = masqueradeOf(request, host);
              rules.add(masquerade.get(), result.ips().stream().map(it -> it.address()).toList());
              rollback.add(rules::delete);
            }
            Result previous = LoopbackFilter.previousResult(request).orElse(Result.EMPTY);
            Result merged = previous.merge(result);
            return merged.withDns(request.config().dns());
          });
    }
  }

  private static Masquerade masqueradeOf(AttachmentRequest request, NetNsSession host)
      throws CniException {
    return new Masquerade(host, request.config().network(), request.attachment().id());
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("mtu", "ipMasq", "ipMasqBackend", "dns");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    PluginConfig current = request.current().config();
    PluginConfig desired = request.desired().config();
    if (!request.isUnchanged()) {
      requireIpam(desired);
    }
    Optional<RuleBackend> masqueradedBefore = Masquerade.requestedBackend(current.view());
    Optional<RuleBackend> masquerade = Masquerade.requestedBackend(desired.view());
    var comparison = InterfaceComparison.start(request, differences);
    try {
      new PointToPointComparison(comparison).run(mtu(current), mtu(desired));
    } catch (IOException e) {
      throw NetNsSession.failure("comparing " + request.desired().attachment().interfaceName(), e);
    }
    masqueradeOf(request.desired(), comparison.host())
        .compare(
            Masquerade.Setting.of(masqueradedBefore, comparison.currentIps()),
            Masquerade.Setting.of(masquerade, comparison.ips()),
            differences);
    return comparison.result();
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try {
      Ipam.delete(request, () -> deletePair(request));
    } catch (IOException e) {
      throw NetNsSession.failure("deleting " + request.attachment().interfaceName(), e);
    } finally {
      if (request.config().view().bool("ipMasq")) {
        try (NetNsSession host = NetNsSession.openHost(request.context())) {
          masqueradeOf(request, host).delete();
        }
      }
    }
  }

  /** Deletes the pair by its end in the container or, if that is not found, by its host end. */
  private static void deletePair(AttachmentRequest request) throws CniException, IOException {
    if (!ContainerInterface.delete(request, VETH)) {
      try (NetNsSession host = NetNsSession.openHost(request.context())) {
        for (Result.Interface end : request.prevResult().orElse(Result.EMPTY).interfaces()) {
          VethPair.deleteByHostEnd(request, host, end);
        }
      }
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    try {
      Ipam.gc(request);
    } finally {
      gcRules(request);
    }
  }

  private static void gcRules(GcRequest request) throws CniException {
    if (request.config().view().bool("ipMasq")) {
      try (NetNsSession host = NetNsSession.openHost(request.context())) {
        Masquerade.gc(host, request.config().network(), request.valid());
      }
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    PluginConfig config = request.config();
    Ipam.validate(
        request,
        () -> {
          mtu(config);
          Masquerade.validate(config.view());
          config.dns();
          requireIpam(config);
        });
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    mtu(request.config());
    boolean rules = Masquerade.requestedBackend(request.config().view()).isPresent();
    requireIpam(request.config());
    Ipam.status(request);
    HostReadiness.require(
        request,
        host -> {
          if (rules) {
            host.requireNftables();
          }
        });
  }
}
