// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.portmap;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The portmap plugin: maps ports of the host to ports of the container ({@code portMappings}), for
 * connections from other hosts, from the host itself (127.0.0.1 included) and from the container.
 */
public final class PortMapPlugin implements UpdatablePlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  /** Creates the plugin; called by the ServiceLoader. */
  public PortMapPlugin() {}

  @Override
  public String type() {
    return "portmap";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    PortMapState desired = PortMapState.of(request);
    PortMapConfig config = desired.config();
    Result previous = PreviousResult.require(request);
    if (config.mappings().isEmpty()) {
      return previous;
    }
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      return rollback.guard(
          "mapping ports " + PortMapConfig.describe(config.mappings()),
          () -> {
            PortMapRules rules = PortMapRules.of(request);
            config
                .backend()
                .<CniException>add(
                    backend ->
                        RulesetReconciler.update(
                            host.nftables(),
                            reconciler -> rules.add(reconciler, backend, desired)));
            // Not earlier: a refused ADD must not remove the rules of an earlier one.
            rollback.add(() -> removeRules(host, request));
            MappedConnections.deleteUdp(host, config, families(desired));
            for (Cidr address : desired.addresses()) {
              if (address.isV4() && config.snat()) {
                RouteLocalnet.enable(host, address);
              }
            }
            if (config.snat()) {
              HairpinMode.enable(host, previous);
            }
            return previous;
          });
    }
  }

  private static Set<TableFamily> families(PortMapState state) {
    return state.addresses().stream()
        .map(it -> TableFamily.of(it.address()))
        .collect(Collectors.toUnmodifiableSet());
  }

  @Override
  public Set<String> changeableKeys() {
    return PortMapComparison.CHANGEABLE_KEYS;
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    return PortMapComparison.run(request, differences);
  }

  /**
   * {@inheritDoc}
   *
   * <p>Removes the rules of both backends: the configuration may have changed since ADD.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      removeRules(host, request);
      deleteUdpConnections(host, request);
    } catch (IOException e) {
      String container = request.attachment().containerId();
      throw NetNsSession.failure("removing the mapped ports of " + container, e);
    }
  }

  /** Does nothing for an invalid configuration: no ADD can have mapped ports with it. */
  private static void deleteUdpConnections(NetNsSession host, AttachmentRequest request) {
    try {
      PortMapConfig config = PortMapConfig.parse(request.config());
      MappedConnections.deleteUdp(host, config, Set.copyOf(PortMapConfig.FAMILIES));
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "no UDP connections to delete", e);
    }
  }

  private static void removeRules(NetNsSession host, AttachmentRequest request)
      throws CniException, IOException {
    PortMapRules rules = PortMapRules.of(request);
    RulesetReconciler.<IOException>update(
        host.nftables(),
        reconciler -> {
          rules.delete(reconciler, RuleBackend.NFTABLES);
          rules.delete(reconciler, RuleBackend.IPTABLES);
        });
    rules.deleteLegacy(host);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    String network = request.config().network();
    Predicate<String> isStale = RuleOwner.stale(network, request.valid());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      RulesetReconciler.<IOException>update(
          host.nftables(),
          reconciler -> {
            for (TableFamily family : PortMapConfig.FAMILIES) {
              NftablesDnatRules.deleteStale(reconciler, family, isStale);
              IptablesDnatRules.deleteStale(reconciler, family, network, request.valid());
            }
          });
      IptablesDnatRules.deleteStaleLegacy(host, network, request.valid());
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale mapped ports of network " + network, e);
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    PortMapConfig.parse(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    PortMapConfig.parse(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.requireNftables();
    }
  }
}
