package cni.conformance;

import static cni.conformance.Requirement.ALL;
import static cni.conformance.Requirement.INTERFACE;

import cni.api.CniException;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.Stage.Container;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.netfilter.ListedChain;
import cni.netlink.ffm.netfilter.ListedRule;
import cni.netlink.ffm.netfilter.Nftables;
import cni.netlink.ffm.netfilter.Transaction;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkChange;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RtNetlink;
import cni.netlink.ffm.route.Rtnetlink;
import cni.netlink.ffm.tc.Qdisc;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;

/** CHECK and STATUS: what is noticed. */
final class ProbeRequirements {
  private static final String MISSING =
      "The plugin should return an error if a resource included in the CNI Result type (interface,"
          + " address or route) was created by the plugin, and is listed in prevResult, but is"
          + " missing or in an invalid state.";
  private static final String OTHER =
      "The plugin should return an error if other resources not tracked in the Result type such as"
          + " the following are missing or are in an invalid state: Firewall rules, Traffic shaping"
          + " controls, IP reservations";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "CHECK-1",
              "CHECK right after ADD succeeds and changes nothing",
              "2, CHECK",
              "The plugin must handle CHECK being called immediately after an ADD",
              ALL,
              ProbeRequirements::sound),
          new Requirement(
              "CHECK-2",
              "a missing interface is noticed",
              "2, CHECK",
              MISSING,
              INTERFACE,
              ProbeRequirements::interfaceMissing),
          new Requirement(
              "CHECK-3",
              "each missing address is noticed",
              "2, CHECK",
              MISSING,
              INTERFACE,
              ProbeRequirements::addressMissing),
          new Requirement(
              "CHECK-4",
              "each missing route is noticed",
              "2, CHECK",
              MISSING,
              INTERFACE,
              ProbeRequirements::routeMissing),
          new Requirement(
              "CHECK-5",
              "CHECK without prevResult is refused",
              "2, CHECK",
              "The plugin must consult the prevResult to determine the expected interfaces and"
                  + " addresses.",
              INTERFACE,
              ProbeRequirements::withoutResult),
          new Requirement(
              "CHECK-6",
              "missing rules and queues are noticed",
              "2, CHECK",
              OTHER,
              ALL,
              ProbeRequirements::rulesMissing),
          new Requirement(
              "CHECK-7",
              "a missing reservation of an address is noticed",
              "2, CHECK",
              OTHER,
              ALL,
              ProbeRequirements::reservationMissing),
          new Requirement(
              "STATUS-1",
              "STATUS of a plugin that is ready succeeds",
              "2, STATUS",
              "A plugin must exit with a zero (success) return code if the plugin is ready to"
                  + " service ADD requests.",
              ALL,
              trial -> {
                trial.onlySince(SpecVersion.V1_1_0);
                trial.succeed(trial.stage().request(Verb.STATUS), "of a plugin that is ready");
              }));

  private ProbeRequirements() {}

  /** A container whose CHECK succeeds. */
  private static Container checked(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.onlySince(SpecVersion.V0_4_0);
    Container container = trial.container();
    trial.attach(container);
    return container;
  }

  private static void sound(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = checked(trial);
    State inside = State.of(container.netns());
    State outside = trial.stage().hostState();
    trial.succeed(trial.check(container), "right after ADD");
    State now = State.of(container.netns());
    trial.require(now.equals(inside), "CHECK changed the container: " + now.minus(inside));
    now = trial.stage().hostState();
    trial.require(now.equals(outside), "CHECK changed the host: " + now.minus(outside));
  }

  private static void interfaceMissing(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = checked(trial);
    trial.tamper();
    try (Rtnetlink routing = Rtnetlink.open(container.netns())) {
      // Away under another name, as not everything can be deleted.
      Link link = routing.links(container.ifName()).getFirst();
      routing.execute(
          List.of(
              LinkRequests.setDown(link.index()),
              new LinkChange(link.index()).name("kit-away").request()));
      try {
        trial.fail(trial.check(container), "of a container without its interface");
      } finally {
        routing.execute(new LinkChange(link.index()).name(container.ifName()).request());
      }
    }
  }

  private static void addressMissing(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = checked(trial);
    Result result = trial.read(trial.attached(container));
    trial.onlyIf(!result.ips().isEmpty(), "the result has no addresses");
    trial.tamper();
    try (Rtnetlink routing = Rtnetlink.open(container.netns())) {
      Link link = routing.links(container.ifName()).getFirst();
      for (InterfaceAddress it : routing.addresses(link.index())) {
        boolean listed =
            result.ips().stream().anyMatch(ip -> ip.address().address().equals(it.address()));
        if (listed) {
          routing.execute(it.deleteRequest());
          trial.fail(trial.check(container), "without address " + it.address().getHostAddress());
          routing.execute(
              new InterfaceAddress(
                      link.index(),
                      it.address(),
                      it.prefix(),
                      it.address().getAddress().length == 4 ? 0 : RtNetlink.IFA_F_NODAD)
                  .addRequest());
        }
      }
    }
  }

  private static void routeMissing(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = checked(trial);
    Result result = trial.read(trial.attached(container));
    trial.onlyIf(!result.routes().isEmpty(), "the result has no routes");
    trial.tamper();
    try (Rtnetlink routing = Rtnetlink.open(container.netns())) {
      for (Result.Route wanted : result.routes()) {
        int family = wanted.destination().isV4() ? RtNetlink.AF_INET : RtNetlink.AF_INET6;
        var network = wanted.destination().network();
        for (Route it : routing.routes(family)) {
          if (it.leadsTo(network.address(), network.prefix())) {
            routing.execute(it.deleteRequest());
            trial.fail(trial.check(container), "without the route to " + wanted.destination());
            routing.execute(it.addRequest());
          }
        }
      }
    }
  }

  private static void withoutResult(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = checked(trial);
    trial.fail(trial.check(container).withoutKey("prevResult"), "without prevResult");
  }

  private static void rulesMissing(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = checked(trial);
    State made = trial.stage().hostState().minus(trial.baseline());
    boolean queues = made.has("queue");
    trial.onlyIf(queues || made.has("chain"), "an attachment has no rules and no queues");
    trial.tamper();
    if (queues) {
      removeQueues(trial.stage().host());
    } else {
      removeRules(trial.stage().host());
    }
    trial.fail(trial.check(container), "without its " + (queues ? "queues" : "rules"));
  }

  private static void removeQueues(NetNs host) throws IOException {
    try (Rtnetlink routing = Rtnetlink.open(host)) {
      for (Link link : routing.links()) {
        for (Qdisc it : Qdisc.list(routing, link.index())) {
          if (it.handle() != 0) {
            routing.execute(Qdisc.delete(link.index(), it.handle(), it.parent()));
          }
        }
      }
    }
  }

  private static void removeRules(NetNs host) throws IOException {
    try (Nftables nftables = Nftables.open(host)) {
      var transaction = new Transaction();
      for (ListedChain chain : nftables.chains()) {
        for (ListedRule rule : nftables.rules(chain.chain())) {
          transaction.delete(rule);
        }
      }
      nftables.commit(transaction);
    }
  }

  private static void reservationMissing(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.onlyIf(trial.setting().role() != Setting.Role.CHAINED, "it does not give out addresses");
    Container container = checked(trial);
    State made = State.of(trial.stage().data()).minus(trial.baseline());
    trial.onlyIf(!made.isEmpty(), "an attachment has no reservation below @DIR@");
    trial.tamper();
    for (String line : made.lines()) {
      Files.delete(trial.stage().data().resolve(line.substring("file ".length())));
    }
    trial.fail(trial.check(container), "without its reservations");
  }
}
