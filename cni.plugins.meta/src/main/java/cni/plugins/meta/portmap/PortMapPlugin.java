package cni.plugins.meta.portmap;

import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.nftables.ConntrackSocket;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import cni.plugins.support.RuleBackend;
import cni.plugins.support.RuleOwner;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The portmap plugin: maps ports of the host to ports of the container ({@code portMappings}), for
 * connections from other hosts, from the host itself (127.0.0.1 included) and from the container.
 */
public final class PortMapPlugin implements NetworkPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  /** Creates the plugin; called by the ServiceLoader. */
  public PortMapPlugin() {}

  @Override
  public String type() {
    return "portmap";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    PortMapConfig config = PortMapConfig.parse(request.config());
    Result previous = PreviousResult.require(request);
    if (config.mappings().isEmpty()) {
      return previous;
    }
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      return rollback.guard(
          "mapping ports " + PortMapConfig.describe(config.mappings()),
          () -> {
            List<Cidr> addresses = PreviousResult.firstAddressPerFamily(request, previous);
            config
                .backend()
                .<CniException>add(
                    backend ->
                        host.nftables()
                            .update(
                                nftables ->
                                    planAdd(nftables, request, config, backend, addresses)));
            // Not earlier: a refused ADD must not remove the rules of an earlier one.
            rollback.add(() -> removeRules(host, request));
            for (Cidr address : addresses) {
              deleteUdpConnections(host, config, TableFamily.of(address.address()));
              if (address.isV4() && config.snat()) {
                enableRouteLocalnet(host, address);
              }
            }
            if (config.snat()) {
              HairpinMode.enable(host, previous);
            }
            return previous;
          });
    }
  }

  private static Transaction planAdd(
      NftablesSocket nftables,
      AttachmentRequest request,
      PortMapConfig config,
      RuleBackend backend,
      List<Cidr> addresses)
      throws CniException, IOException {
    var reconciler = new RulesetReconciler(nftables);
    for (Cidr address : addresses) {
      TableFamily family = TableFamily.of(address.address());
      requireNoConflict(reconciler, request, config.mappings(family), family);
      if (backend == RuleBackend.IPTABLES) {
        iptablesRules(request, family).add(reconciler, config, address);
      } else {
        nftablesRules(request, family).add(reconciler, config, address);
      }
    }
    return reconciler.transaction();
  }

  /** Looks for conflicts in the tables of both backends, whichever the configuration selects. */
  private static void requireNoConflict(
      RulesetReconciler reconciler,
      AttachmentRequest request,
      List<PortMapping> mappings,
      TableFamily family)
      throws CniException, IOException {
    String ownComment = Userdata.truncateComment(containerId(request));
    Function<InstalledRule, Optional<String>> nftablesContainer =
        rule -> rule.rule().userdata().comment();
    PortConflicts.requireNoConflict(
        mappings,
        reconciler.rules(NftablesDnatRules.table(family)).stream()
            .filter(rule -> nftablesContainer.apply(rule).filter(ownComment::equals).isEmpty())
            .toList(),
        nftablesContainer);
    iptablesRules(request, family).requireNoConflict(reconciler, mappings, containerId(request));
  }

  private static String containerId(AttachmentRequest request) {
    return request.attachment().containerId();
  }

  private static NftablesDnatRules nftablesRules(AttachmentRequest request, TableFamily family)
      throws CniException {
    String owner = RuleOwner.of(request.config().network(), request.attachment().id());
    return new NftablesDnatRules(family, containerId(request), owner);
  }

  private static IptablesDnatRules iptablesRules(AttachmentRequest request, TableFamily family)
      throws CniException {
    return new IptablesDnatRules(family, request.config().network(), containerId(request));
  }

  /**
   * Deletes the conntrack entries of UDP connections to the mapped ports. NAT is decided when an
   * entry is created, and an entry lasts as long as the peer keeps sending: its packets would
   * continue to go to the old destination. Failures are logged only.
   */
  private static void deleteUdpConnections(
      NetNsSession host, PortMapConfig config, TableFamily family) {
    List<PortMapping> udp =
        config.mappings(family).stream()
            .filter(mapping -> mapping.protocol() == RuleBuilder.UDP)
            .toList();
    if (udp.isEmpty()) {
      return;
    }
    try (ConntrackSocket conntrack = host.openConntrack()) {
      Set<Integer> ports =
          udp.stream().map(PortMapping::hostPort).collect(Collectors.toUnmodifiableSet());
      conntrack.deleteConnections(family, RuleBuilder.UDP, ports);
    } catch (IOException e) {
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "existing connections to "
                  + PortMapConfig.describe(udp)
                  + " keep their old destination: "
                  + e.getMessage());
    }
  }

  /**
   * Allows packets from and to 127.0.0.1 on the interface to the container: connections of the host
   * to 127.0.0.1 keep that source address until they are masqueraded after routing.
   */
  private static void enableRouteLocalnet(NetNsSession host, Cidr container) throws IOException {
    OptionalInt link = linkToContainer(host, container);
    if (link.isPresent()) {
      host.rtnetlink().execute(LinkRequests.enableRouteLocalnet(link.getAsInt()));
    }
  }

  /**
   * Returns the index of the host's interface that the container is reached by, if there is one.
   */
  private static OptionalInt linkToContainer(NetNsSession host, Cidr container) throws IOException {
    try {
      Route route = host.rtnetlink().routeTo(container.address());
      int link = route.hops().getFirst().link();
      return link == 0 ? OptionalInt.empty() : OptionalInt.of(link);
    } catch (NetlinkException e) {
      if (e.is(Errno.ENETUNREACH) || e.is(Errno.EHOSTUNREACH)) {
        return OptionalInt.empty();
      }
      throw e;
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    PortMapConfig config = PortMapConfig.parse(request.config());
    Result previous = request.requirePrevResult();
    if (config.mappings().isEmpty()) {
      return;
    }
    List<Cidr> addresses = PreviousResult.firstAddressPerFamily(request, previous);
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      config.backend().check(backend -> check(host, request, config, backend, addresses));
    } catch (IOException e) {
      throw NetNsSession.failure("checking ports " + PortMapConfig.describe(config.mappings()), e);
    }
  }

  private static void check(
      NetNsSession host,
      AttachmentRequest request,
      PortMapConfig config,
      RuleBackend backend,
      List<Cidr> addresses)
      throws CniException, IOException {
    var reconciler = new RulesetReconciler(host.nftables());
    List<InstalledRule> expected = new ArrayList<>();
    for (Cidr address : addresses) {
      if (backend == RuleBackend.NFTABLES) {
        reconciler.rules(NftablesDnatRules.table(TableFamily.of(address.address()))); // every chain
      }
      expected.addAll(expectedRules(request, config, backend, address));
    }
    AttachmentCheck.requireNoneMissing(
        reconciler.findMissing(expected),
        "ports " + PortMapConfig.describe(config.mappings()) + " are not mapped as they should be");
  }

  private static List<InstalledRule> expectedRules(
      AttachmentRequest request, PortMapConfig config, RuleBackend backend, Cidr address)
      throws CniException {
    TableFamily family = TableFamily.of(address.address());
    return backend == RuleBackend.IPTABLES
        ? iptablesRules(request, family).expectedRules(config, address)
        : nftablesRules(request, family).expectedRules(config, address);
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
      throw NetNsSession.failure("removing the mapped ports of " + containerId(request), e);
    }
  }

  /** Does nothing for an invalid configuration: no ADD can have mapped ports with it. */
  private static void deleteUdpConnections(NetNsSession host, AttachmentRequest request) {
    try {
      PortMapConfig config = PortMapConfig.parse(request.config());
      PortMapConfig.FAMILIES.forEach(family -> deleteUdpConnections(host, config, family));
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "no UDP connections to delete", e);
    }
  }

  private static void removeRules(NetNsSession host, AttachmentRequest request)
      throws CniException, IOException {
    host.nftables()
        .update(
            nftables -> {
              var reconciler = new RulesetReconciler(nftables);
              for (TableFamily family : PortMapConfig.FAMILIES) {
                nftablesRules(request, family).delete(reconciler);
                iptablesRules(request, family).delete(reconciler);
              }
              return reconciler.transaction();
            });
    iptablesRules(request, TableFamily.IP).deleteLegacy(host);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    String network = request.config().network();
    Predicate<String> isStale = RuleOwner.stale(network, request.valid());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.nftables()
          .update(
              nftables -> {
                var reconciler = new RulesetReconciler(nftables);
                for (TableFamily family : PortMapConfig.FAMILIES) {
                  NftablesDnatRules.deleteStale(reconciler, family, isStale);
                  IptablesDnatRules.deleteStale(reconciler, family, network, request.valid());
                }
                return reconciler.transaction();
              });
      IptablesDnatRules.deleteStaleLegacy(host, network, request.valid());
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale mapped ports of network " + network, e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    PortMapConfig.parse(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      host.requireNftables();
    }
  }
}
