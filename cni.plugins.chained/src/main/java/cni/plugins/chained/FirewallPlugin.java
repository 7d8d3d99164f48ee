package cni.plugins.chained;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.SpecVersion;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import cni.netlink.ffm.netfilter.Family;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.RulesetChange;
import cni.netlink.ffm.netfilter.Transaction;
import cni.plugins.chained.FirewallConfig.Backend;
import cni.sandbox.AttachmentCheck;
import cni.sandbox.Attempt;
import cni.sandbox.Namespace;
import cni.sandbox.RuleOwner;
import java.io.IOException;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Lets the container's packets pass through a host that drops what it does not know, and keeps
 * containers at different bridges from each other if so configured.
 */
public final class FirewallPlugin implements NetworkPlugin {
  private final Firewalld firewalld;

  /** The plugin as the runtime makes it. */
  public FirewallPlugin() {
    this(Firewalld.ofSystem());
  }

  FirewallPlugin(Firewalld firewalld) {
    this.firewalld = firewalld;
  }

  @Override
  public String type() {
    return "firewall";
  }

  /** {@inheritDoc} Before 0.4.0 there was no CHECK, which the reference plugin takes as a must. */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.ALL.stream()
        .filter(version -> version.compareTo(SpecVersion.V0_4_0) >= 0)
        .collect(Collectors.toUnmodifiableSet());
  }

  /** Whether firewalld decides. */
  private boolean isFirewalld(Backend backend, CallContext context) throws CniException {
    return backend == Backend.FIREWALLD
        || (isFirewalldIfRunning(backend, context) && firewalld.isRunning());
  }

  /**
   * Whether firewalld, if it is running, decides. It only knows the namespace that it runs in,
   * which is this process's if it can be reached.
   */
  private static boolean isFirewalldIfRunning(Backend backend, CallContext context) {
    return backend == Backend.FIREWALLD
        || (backend == Backend.DETECTED && context.hostNamespace().isEmpty());
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    FirewallConfig config = FirewallConfig.parse(request.config());
    Result previous = PreviousResult.require(request);
    Optional<IngressIsolation> isolation = isolation(config, previous);
    var rollback = new Rollback();
    try (Namespace host = Namespace.ofHost(request.context())) {
      return Attempt.orTakeBack(
          "letting packets pass",
          rollback,
          () -> {
            boolean asked = isFirewalld(config.backend(), request.context());
            if (asked) {
              rollback.add(() -> firewalld.remove(config.zone(), sources(previous)));
              firewalld.add(config.zone(), sources(previous));
            }
            change(host, request, config, isolation, asked);
            return previous;
          });
    }
  }

  private static Optional<IngressIsolation> isolation(FirewallConfig config, Result previous)
      throws CniException {
    if (config.ingress() == FirewallConfig.IngressPolicy.OPEN) {
      return Optional.empty();
    }
    if (previous.interfaces().isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "prevResult has no interfaces: ingressPolicy \""
              + config.ingress().word()
              + "\" needs a bridge; put firewall behind the bridge plugin");
    }
    String bridge = previous.interfaces().getFirst().name();
    return Optional.of(new IngressIsolation(bridge, config.ingress()));
  }

  private static void change(
      Namespace host,
      AttachmentRequest request,
      FirewallConfig config,
      Optional<IngressIsolation> isolation,
      boolean asked)
      throws CniException, IOException {
    ForwardRules rules = rules(request, config);
    try {
      Backend backend = config.backend();
      host.nftables()
          .update(there -> plan(new RulesetChange(there), rules, isolation, backend, asked));
    } catch (NetlinkException e) {
      // A kernel without the matches of iptables cannot have iptables either.
      boolean unable = e.is(Errno.ENOENT) || e.is(Errno.EOPNOTSUPP);
      if (config.backend() != Backend.DETECTED || !unable) {
        throw e;
      }
      host.nftables()
          .update(
              there -> plan(new RulesetChange(there), rules, isolation, Backend.NFTABLES, asked));
    }
  }

  private static Transaction plan(
      RulesetChange change,
      ForwardRules rules,
      Optional<IngressIsolation> isolation,
      Backend backend,
      boolean asked)
      throws IOException {
    if (!asked) {
      for (var chain : rules.chains(change, backend)) {
        rules.add(change, chain);
      }
    }
    if (isolation.isPresent()) {
      for (Family family : isolationFamilies(rules, backend)) {
        isolation.get().add(change, IngressIsolation.forward(family));
      }
    }
    return change.transaction();
  }

  /** Isolation has no place in firewalld; as the reference does it, iptables' chains have it. */
  private static List<Family> isolationFamilies(ForwardRules rules, Backend backend) {
    if (backend == Backend.NFTABLES) {
      return List.of(Family.INET);
    }
    return List.of(Family.IP, Family.IP6).stream()
        .filter(
            family -> rules.addresses().stream().anyMatch(ForwardChain.ofIptables(family)::sees))
        .toList();
  }

  private static ForwardRules rules(AttachmentRequest request, FirewallConfig config)
      throws CniException {
    List<InetAddress> addresses =
        request.prevResult().orElse(Result.EMPTY).ips().stream()
            .map(ip -> ip.address().address())
            .distinct()
            .toList();
    String owner = RuleOwner.of(request.config().network(), request.attachment().id());
    return new ForwardRules(addresses, owner, config.adminChain());
  }

  private static List<String> sources(Result previous) {
    return previous.ips().stream()
        .map(ip -> ip.address().address())
        .map(address -> Ip.format(address) + "/" + Ip.bits(address))
        .toList();
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    FirewallConfig config = FirewallConfig.parse(request.config());
    Result previous = request.requirePrevResult();
    Optional<IngressIsolation> isolation = isolation(config, previous);
    ForwardRules rules = rules(request, config);
    try (Namespace host = Namespace.ofHost(request.context())) {
      var there = new RulesetChange(host.nftables());
      List<ListedRule> wanted = new ArrayList<>();
      if (isFirewalld(config.backend(), request.context())) {
        firewalld.check(config.zone(), sources(previous));
      } else {
        for (ForwardChain chain : rules.chains(there, config.backend())) {
          wanted.addAll(rules.wanted(chain));
        }
      }
      if (isolation.isPresent()) {
        for (Family family : isolationFamilies(rules, config.backend())) {
          wanted.addAll(isolation.get().wanted(IngressIsolation.forward(family)));
        }
      }
      AttachmentCheck.requireNone(
          there.missing(wanted), "packets of " + sources(previous) + " may not pass");
    } catch (IOException e) {
      throw Namespace.failure("checking what lets packets pass", e);
    }
  }

  /** {@inheritDoc} By a configuration that makes no sense as well. */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    FirewallConfig config;
    try {
      config = FirewallConfig.parse(request.config());
    } catch (CniException e) {
      config = FirewallConfig.DEFAULTS;
    }
    try (Namespace host = Namespace.ofHost(request.context())) {
      remove(host, request, config);
    } catch (IOException e) {
      throw Namespace.failure("removing what lets packets pass", e);
    }
  }

  private void remove(Namespace host, AttachmentRequest request, FirewallConfig config)
      throws CniException, IOException {
    ForwardRules rules = rules(request, config);
    List<String> sources = sources(request.prevResult().orElse(Result.EMPTY));
    if (!sources.isEmpty()
        && isFirewalldIfRunning(config.backend(), request.context())
        && firewalld.isRunning()) {
      firewalld.remove(config.zone(), sources);
    }
    host.nftables()
        .update(
            there -> {
              var change = new RulesetChange(there);
              rules.delete(change);
              return change.transaction();
            });
    rules.deleteLegacy(host);
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    Predicate<String> stale = RuleOwner.stale(request.config().network(), request.valid());
    try (Namespace host = Namespace.ofHost(request.context())) {
      host.nftables()
          .update(
              there -> {
                var change = new RulesetChange(there);
                ForwardRules.collect(change, stale);
                return change.transaction();
              });
    } catch (IOException e) {
      throw Namespace.failure("removing stale rules", e);
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    FirewallConfig config = FirewallConfig.parse(request.config());
    if (config.backend() == Backend.FIREWALLD) {
      firewalld.requireRunning();
    }
    try (Namespace host = Namespace.ofHost(request.context())) {
      host.requireNftables();
    }
  }
}
