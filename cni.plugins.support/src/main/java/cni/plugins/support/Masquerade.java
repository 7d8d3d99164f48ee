// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.RulesetUpdate;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Userdata;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Masquerading of an attachment ({@code ipMasq}): packets that leave its network get the host's
 * address. Table, chains and comments are those of the reference plugins 1.9.1, for both of their
 * backends, so that each implementation can delete the rules of the other.
 */
public final class Masquerade {
  private static final Table TABLE = new Table(TableFamily.INET, "cni_plugins_masquerade");
  private static final Chain CHECKS = TABLE.chain("masq_checks");
  private static final Chain POSTROUTING = TABLE.chain("postrouting");

  private static final Userdata TABLE_COMMENT =
      Userdata.comment("Masquerading for plugins from github.com/containernetworking/plugins");
  private static final Userdata CHECKS_COMMENT =
      Userdata.comment(
          "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet");

  /** The rules of the postrouting chain: multicast returns, the rest goes to the checks. */
  private static final List<Rule> POSTROUTING_RULES =
      List.of(
          RuleBuilder.forFamily(TableFamily.INET)
              .destination(EQUAL, InetAddresses.parse("224.0.0.0"), 4)
              .append(Verdict.RETURN)
              .build(),
          RuleBuilder.forFamily(TableFamily.INET)
              .destination(EQUAL, InetAddresses.parse("ff00::"), 8)
              .append(Verdict.RETURN)
              .build(),
          RuleBuilder.forFamily(TableFamily.INET).append(Verdict.goTo(CHECKS.name())).build());

  private final NetNsSession host;
  private final String network;
  private final AttachmentId id;
  private final String owner;

  /** Creates the masquerading of an attachment to a network; rules are added by {@link #add}. */
  public Masquerade(NetNsSession host, String network, AttachmentId id) {
    this.host = host;
    this.network = network;
    this.id = id;
    this.owner = RuleOwner.of(network, id);
  }

  /**
   * What is masqueraded.
   *
   * @param backend where the rules are; empty for no masquerading
   * @param addresses the attachment's addresses, with the prefixes of their networks
   */
  public record Setting(Optional<RuleBackend> backend, List<Cidr> addresses) {
    /** No masquerading. */
    public static final Setting OFF = new Setting(Optional.empty(), List.of());

    /** Copies the list; without a backend or addresses, both are empty. */
    public Setting {
      addresses = backend.isPresent() ? List.copyOf(addresses) : List.of();
      backend = addresses.isEmpty() ? Optional.empty() : backend;
    }

    /** Creates the setting of a configuration for the addresses of a result. */
    public static Setting of(Optional<RuleBackend> backend, List<Result.IpConfig> ips) {
      return new Setting(backend, ips.stream().map(Result.IpConfig::address).toList());
    }
  }

  /**
   * Adds the rules that masquerade packets from the addresses to other networks. Rules that an
   * earlier ADD of the attachment left are replaced.
   *
   * @throws CniException code 999 with the kernel's message if it refuses
   */
  public void add(RuleBackend backend, List<Cidr> addresses) throws CniException {
    var desired = new Setting(Optional.of(backend), addresses);
    try {
      backend.<CniException>add(resolved -> update(resolved, Setting.OFF, desired).apply());
    } catch (IOException e) {
      throw NetNsSession.failure("masquerading " + addresses, e);
    }
  }

  /**
   * Compares the rules with the desired ones. All of them are one change. With {@link
   * RuleBackend#AUTO} the rules of either backend suffice: what is installed on the host may have
   * changed since ADD.
   *
   * @param current the setting before; its rules are deleted if they are no longer desired
   * @throws CniException code 999 if the rules cannot be listed
   */
  public void compare(Setting current, Setting desired, Differences differences)
      throws CniException {
    if (current.backend().isEmpty() && desired.backend().isEmpty()) {
      return;
    }
    try {
      RuleBackend backend = desired.backend().or(current::backend).orElseThrow();
      RulesetReconciler plan = update(backend.resolve(), current, desired).plan(false);
      if (backend == RuleBackend.AUTO && !plan.transaction().isEmpty()) {
        RuleBackend other = backend.resolve().other();
        if (isInstalled(other)) {
          backend = other;
          plan = update(other, current, desired).plan(false);
        }
      }
      addDifference(backend, plan, current, desired, differences);
    } catch (IOException e) {
      throw NetNsSession.failure("listing the rules of ipMasq", e);
    }
  }

  private void addDifference(
      RuleBackend backend,
      RulesetReconciler plan,
      Setting current,
      Setting desired,
      Differences differences) {
    List<RulesetUpdate<CniException>> applied = new ArrayList<>();
    boolean off = desired.backend().isEmpty();
    String finding =
        off
            ? "packets from " + current.addresses() + " are still masqueraded"
            : "packets from " + desired.addresses() + " are not masqueraded as configured";
    RuleDifferences.add(
        differences,
        plan,
        finding,
        off ? "stop masquerading " + current.addresses() : "masquerade " + desired.addresses(),
        () ->
            backend.<CniException>add(
                resolved -> {
                  var update = update(resolved, current, desired);
                  update.apply();
                  applied.add(update);
                }),
        () -> {
          for (RulesetUpdate<CniException> update : applied) {
            update.undo();
          }
          applied.clear();
        });
  }

  private RulesetUpdate<CniException> update(RuleBackend backend, Setting current, Setting desired)
      throws KernelException {
    var iptables = new IptablesMasquerade(host, network, id);
    return new RulesetUpdate<>(
        host.nftables(),
        change -> {
          // After another backend is configured, rules may be in both.
          boolean both = !current.backend().equals(desired.backend());
          boolean toIptables = backend == RuleBackend.IPTABLES;
          if (both || toIptables) {
            iptables.plan(
                change, current.addresses(), toIptables ? desired.addresses() : List.of());
          }
          if (both || !toIptables) {
            plan(change, toIptables ? List.of() : desired.addresses());
          }
        },
        rule -> belongsToAttachment(rule) || iptables.isOwn(rule));
  }

  private boolean isInstalled(RuleBackend backend) throws IOException {
    var change = new RulesetReconciler(host.nftables());
    return backend == RuleBackend.IPTABLES
        ? new IptablesMasquerade(host, network, id).isInstalled(change)
        : change.rules(CHECKS).stream().anyMatch(this::belongsToAttachment);
  }

  /** Makes the attachment's rules those of the addresses. */
  private void plan(RulesetReconciler change, List<Cidr> addresses) throws IOException {
    change.rules(TABLE); // in one request
    if (!addresses.isEmpty()) {
      ensureChains(change);
    }
    List<Rule> wanted = new ArrayList<>(addresses.stream().map(this::rule).toList());
    for (InstalledRule installed : change.rules(CHECKS)) {
      if (belongsToAttachment(installed)
          && !wanted.removeIf(it -> installed.rule().isEquivalentTo(it))) {
        change.delete(installed);
      }
    }
    wanted.forEach(rule -> change.add(CHECKS, rule));
  }

  private static void ensureChains(RulesetReconciler change) throws IOException {
    List<InstalledRule> installed = change.rules(POSTROUTING);
    boolean complete =
        POSTROUTING_RULES.stream()
            .allMatch(rule -> installed.stream().anyMatch(it -> it.rule().equals(rule)));
    if (!complete) {
      change.transaction().add(TABLE, TABLE_COMMENT).add(CHECKS, CHECKS_COMMENT);
      change.ensure(CHECKS); // records that it is new
      change.ensure(POSTROUTING, Optional.of(Hook.SOURCE_NAT), TABLE_COMMENT);
      installed.forEach(change::delete);
      POSTROUTING_RULES.forEach(rule -> change.add(POSTROUTING, rule));
    }
  }

  private Rule rule(Cidr address) {
    Cidr net = address.network();
    return RuleBuilder.forFamily(TableFamily.INET)
        .source(EQUAL, address.address(), InetAddresses.bits(address.address()))
        .destination(NOT_EQUAL, net.address(), net.prefix())
        .masquerade()
        .build()
        .withComment(
            Userdata.truncateComment(
                "%s, net: %s, if: %s, id: %s"
                    .formatted(
                        owner, network, id.interfaceName().replace("\"", ""), id.containerId())));
  }

  private boolean belongsToAttachment(InstalledRule rule) {
    return rule.chain().equals(CHECKS) && rule.rule().commentStartsWith(owner);
  }

  /**
   * Reads {@code ipMasq} and {@code ipMasqBackend}.
   *
   * @return the backend, {@link RuleBackend#AUTO} by default; empty without {@code ipMasq}
   * @throws CniException code 7 if a value is invalid
   */
  public static Optional<RuleBackend> requestedBackend(ConfigObject view) throws CniException {
    return view.bool("ipMasq")
        ? RuleBackend.parse(view, "ipMasqBackend").or(() -> Optional.of(RuleBackend.AUTO))
        : Optional.empty();
  }

  /**
   * Validates {@code ipMasq} and {@code ipMasqBackend}.
   *
   * @throws CniException as {@link #requestedBackend}
   */
  public static void validate(ConfigObject view) throws CniException {
    if (requestedBackend(view).isEmpty() && view.has("ipMasqBackend")) {
      view.warn("ipMasqBackend", "has no effect: set ipMasq to true, or leave it out");
    }
  }

  /**
   * Deletes the rules of both backends.
   *
   * @throws CniException code 999 with the kernel's message if it refuses
   */
  public void delete() throws CniException {
    try {
      var iptables = new IptablesMasquerade(host, network, id);
      RulesetReconciler.<IOException>update(
          host.nftables(),
          change -> {
            change.rules(CHECKS).stream().filter(this::belongsToAttachment).forEach(change::delete);
            iptables.delete(change);
          });
      iptables.deleteLegacy();
    } catch (IOException e) {
      throw NetNsSession.failure("removing the masquerading of " + id.containerId(), e);
    }
  }

  /**
   * Deletes the rules, of both backends, of a network's attachments that are not valid.
   *
   * @throws CniException code 999 with the kernel's message if it refuses
   */
  public static void gc(NetNsSession host, String network, Set<AttachmentId> valid)
      throws CniException {
    Predicate<String> stale = RuleOwner.stale(network, valid);
    try {
      host.nftables()
          .update(
              nftables -> {
                var change = new RulesetReconciler(nftables);
                change.rules(CHECKS).stream()
                    .filter(rule -> rule.rule().userdata().comment().filter(stale).isPresent())
                    .forEach(change::delete);
                IptablesMasquerade.gc(change, network, valid);
                return change.transaction();
              });
      IptablesMasquerade.gcLegacy(host, network, valid);
    } catch (IOException e) {
      throw NetNsSession.failure("removing stale masquerading of network " + network, e);
    }
  }
}
