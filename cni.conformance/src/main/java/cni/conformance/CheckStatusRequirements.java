package cni.conformance;

import static cni.conformance.Requirement.ALL;
import static cni.conformance.Requirement.INTERFACE;

import cni.api.CniException;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.CheckHost.Container;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.nftables.InstalledChain;
import cni.netlink.ffm.nftables.InstalledRule;
import cni.netlink.ffm.nftables.NftablesSocket;
import cni.netlink.ffm.nftables.Transaction;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkRequests;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.netlink.ffm.route.RtnetlinkConstants;
import cni.netlink.ffm.tc.Qdisc;
import cni.testing.NetNsSnapshot;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;

/** CHECK and STATUS: what is noticed. */
final class CheckStatusRequirements {
  private static final String MISSING_TEXT =
      "The plugin should return an error if a resource included in the CNI Result type (interface,"
          + " address or route) was created by the plugin, and is listed in prevResult, but is"
          + " missing or in an invalid state.";
  private static final String OTHER_RESOURCES_TEXT =
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
              CheckStatusRequirements::checkAfterAdd),
          new Requirement(
              "CHECK-2",
              "a missing interface is noticed",
              "2, CHECK",
              MISSING_TEXT,
              INTERFACE,
              CheckStatusRequirements::missingInterface),
          new Requirement(
              "CHECK-3",
              "each missing address is noticed",
              "2, CHECK",
              MISSING_TEXT,
              INTERFACE,
              CheckStatusRequirements::missingAddress),
          new Requirement(
              "CHECK-4",
              "each missing route is noticed",
              "2, CHECK",
              MISSING_TEXT,
              INTERFACE,
              CheckStatusRequirements::missingRoute),
          new Requirement(
              "CHECK-5",
              "CHECK without prevResult is refused",
              "2, CHECK",
              "The plugin must consult the prevResult to determine the expected interfaces and"
                  + " addresses.",
              INTERFACE,
              CheckStatusRequirements::checkWithoutPrevResult),
          new Requirement(
              "CHECK-6",
              "missing rules and queues are noticed",
              "2, CHECK",
              OTHER_RESOURCES_TEXT,
              ALL,
              CheckStatusRequirements::missingRulesOrQdiscs),
          new Requirement(
              "CHECK-7",
              "a missing reservation of an address is noticed",
              "2, CHECK",
              OTHER_RESOURCES_TEXT,
              ALL,
              CheckStatusRequirements::missingReservation),
          new Requirement(
              "STATUS-1",
              "STATUS of a plugin that is ready succeeds",
              "2, STATUS",
              "A plugin must exit with a zero (success) return code if the plugin is ready to"
                  + " service ADD requests.",
              ALL,
              trial -> {
                trial.assumeVersion(SpecVersion.V1_1_0);
                trial.requireSuccess(
                    trial.testBed().request(Verb.STATUS), "of a plugin that is ready");
              }));

  private CheckStatusRequirements() {}

  /** A container whose CHECK succeeds. */
  private static Container attachForCheck(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.assumeVersion(SpecVersion.V0_4_0);
    Container container = trial.createContainer();
    trial.attach(container);
    return container;
  }

  private static void checkAfterAdd(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(trial);
    NetNsSnapshot inside = NetNsSnapshot.of(container.netns());
    NetNsSnapshot outside = trial.testBed().hostState();
    trial.requireSuccess(trial.checkRequest(container), "right after ADD");
    NetNsSnapshot now = NetNsSnapshot.of(container.netns());
    trial.require(now.equals(inside), "CHECK changed the container: " + now.minus(inside));
    now = trial.testBed().hostState();
    trial.require(now.equals(outside), "CHECK changed the host: " + now.minus(outside));
  }

  private static void missingInterface(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(trial);
    trial.markTampered();
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      // Away under another name, as not everything can be deleted.
      Link link = routing.links(container.interfaceName()).getFirst();
      routing.execute(
          List.of(
              LinkRequests.setDown(link.index()),
              new LinkUpdate(link.index()).name("kit-away").request()));
      try {
        trial.requireFailure(trial.checkRequest(container), "of a container without its interface");
      } finally {
        routing.execute(new LinkUpdate(link.index()).name(container.interfaceName()).request());
      }
    }
  }

  private static void missingAddress(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(trial);
    Result result = trial.readResult(trial.resultOf(container));
    trial.assume(!result.ips().isEmpty(), "the result has no addresses");
    trial.markTampered();
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      Link link = routing.links(container.interfaceName()).getFirst();
      for (InterfaceAddress it : routing.addresses(link.index())) {
        boolean listed =
            result.ips().stream().anyMatch(ip -> ip.address().address().equals(it.address()));
        if (listed) {
          routing.execute(it.deleteRequest());
          trial.requireFailure(
              trial.checkRequest(container), "without address " + it.address().getHostAddress());
          routing.execute(
              new InterfaceAddress(
                      link.index(),
                      it.address(),
                      it.prefix(),
                      it.address().getAddress().length == 4 ? 0 : RtnetlinkConstants.IFA_F_NODAD)
                  .addRequest());
        }
      }
    }
  }

  private static void missingRoute(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(trial);
    Result result = trial.readResult(trial.resultOf(container));
    trial.assume(!result.routes().isEmpty(), "the result has no routes");
    trial.markTampered();
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      for (Result.Route wanted : result.routes()) {
        IpFamily family = IpFamily.of(wanted.destination().address());
        var network = wanted.destination().network();
        for (Route it : routing.routes(family)) {
          if (it.hasDestination(network.address(), network.prefix())) {
            routing.execute(it.deleteRequest());
            trial.requireFailure(
                trial.checkRequest(container), "without the route to " + wanted.destination());
            routing.execute(it.addRequest());
          }
        }
      }
    }
  }

  private static void checkWithoutPrevResult(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(trial);
    trial.requireFailure(
        trial.checkRequest(container).withoutKey("prevResult"), "without prevResult");
  }

  private static void missingRulesOrQdiscs(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(trial);
    NetNsSnapshot made = trial.testBed().hostState().minus(trial.baseline());
    boolean queues = made.hasKind("qdisc");
    trial.assume(queues || made.hasKind("chain"), "an attachment has no rules and no queues");
    trial.markTampered();
    if (queues) {
      removeQdiscs(trial.testBed().host());
    } else {
      removeRules(trial.testBed().host());
    }
    trial.requireFailure(
        trial.checkRequest(container), "without its " + (queues ? "queues" : "rules"));
  }

  private static void removeQdiscs(NetNs host) throws IOException {
    try (RouteSocket routing = RouteSocket.open(host)) {
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
    try (NftablesSocket nftables = NftablesSocket.open(host)) {
      var transaction = new Transaction();
      for (InstalledChain chain : nftables.chains()) {
        for (InstalledRule rule : nftables.rules(chain.chain())) {
          transaction.delete(rule);
        }
      }
      nftables.commit(transaction);
    }
  }

  private static void missingReservation(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.assume(
        trial.subjectConfig().role() != SubjectConfig.Role.CHAINED,
        "it does not give out addresses");
    Container container = attachForCheck(trial);
    NetNsSnapshot made = NetNsSnapshot.of(trial.testBed().dataDirectory()).minus(trial.baseline());
    trial.assume(!made.isEmpty(), "an attachment has no reservation below @DIR@");
    trial.markTampered();
    for (String line : made.lines()) {
      Files.delete(trial.testBed().dataDirectory().resolve(line.substring("file ".length())));
    }
    trial.requireFailure(trial.checkRequest(container), "without its reservations");
  }
}
