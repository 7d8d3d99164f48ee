package cni.plugins.support;

import static cni.netlink.ffm.nftables.Expression.Compare.EQUAL;
import static cni.netlink.ffm.nftables.Expression.Compare.NOT_EQUAL;

import cni.api.AttachmentId;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.netlink.ffm.nftables.Chain;
import cni.netlink.ffm.nftables.Expression.Verdict;
import cni.netlink.ffm.nftables.Hook;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.Rule;
import cni.netlink.ffm.nftables.RuleBuilder;
import cni.netlink.ffm.nftables.RulesetReconciler;
import cni.netlink.ffm.nftables.Table;
import cni.netlink.ffm.nftables.TableFamily;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.nftables.Userdata;
import java.io.IOException;
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
   * Adds the rules that masquerade packets from the addresses to other networks. Rules that an
   * earlier ADD of the attachment left are replaced.
   *
   * @throws CniException code 999 with the kernel's message if it refuses
   */
  public void add(RuleBackend backend, List<Cidr> addresses) throws CniException {
    try {
      backend.<CniException>add(resolved -> addTo(resolved, addresses));
    } catch (IOException e) {
      throw NetNsSession.failure("masquerading " + addresses, e);
    }
  }

  private void addTo(RuleBackend backend, List<Cidr> addresses) throws IOException {
    if (backend == RuleBackend.IPTABLES) {
      new IptablesMasquerade(host, network, id).add(addresses);
    } else {
      host.nftables().update(nftables -> addTransaction(nftables.rules(TABLE), addresses));
    }
  }

  private Transaction addTransaction(List<InstalledRule> installed, List<Cidr> addresses) {
    var transaction = new Transaction();
    List<Rule> postrouting =
        installed.stream()
            .filter(rule -> rule.chain().equals(POSTROUTING))
            .map(InstalledRule::rule)
            .toList();
    if (!postrouting.equals(POSTROUTING_RULES)) {
      transaction.add(TABLE, TABLE_COMMENT).add(CHECKS, CHECKS_COMMENT);
      transaction.add(POSTROUTING, Hook.SOURCE_NAT).flush(POSTROUTING);
      POSTROUTING_RULES.forEach(rule -> transaction.append(POSTROUTING, rule));
    }
    installed.stream().filter(this::belongsToAttachment).forEach(transaction::delete);
    addresses.forEach(address -> transaction.append(CHECKS, rule(address)));
    return transaction;
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
   * Checks that packets from the addresses are masqueraded.
   *
   * @throws CniException code 999, naming the first address or chain whose rule is missing
   */
  public void check(RuleBackend backend, List<Cidr> addresses) throws CniException {
    try {
      backend.check(resolved -> checkIn(resolved, addresses));
    } catch (IOException e) {
      throw NetNsSession.failure("listing the rules of ipMasq", e);
    }
  }

  private void checkIn(RuleBackend backend, List<Cidr> addresses) throws IOException, CniException {
    if (backend == RuleBackend.IPTABLES) {
      new IptablesMasquerade(host, network, id).check(addresses);
      return;
    }
    List<InstalledRule> installed = host.nftables().rules(TABLE);
    for (Rule rule : POSTROUTING_RULES) {
      requireRule(
          installed.stream()
              .anyMatch(it -> it.chain().equals(POSTROUTING) && it.rule().equals(rule)),
          "chain \"" + POSTROUTING + "\" lacks a rule of ipMasq");
    }
    for (Cidr address : addresses) {
      Rule wanted = rule(address);
      requireRule(
          installed.stream()
              .anyMatch(it -> belongsToAttachment(it) && it.rule().isEquivalentTo(wanted)),
          "address "
              + address
              + " is not masqueraded: its rule is missing from chain \""
              + CHECKS
              + "\"");
    }
  }

  static void requireRule(boolean present, String message) throws CniException {
    if (!present) {
      throw AttachmentCheck.mismatch(message);
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
      host.nftables()
          .update(
              nftables -> {
                var change = new RulesetReconciler(nftables);
                change.rules(CHECKS).stream()
                    .filter(this::belongsToAttachment)
                    .forEach(change::delete);
                iptables.delete(change);
                return change.transaction();
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
