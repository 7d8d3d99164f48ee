// SPDX-License-Identifier: Apache-2.0
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

/** The requirements for CHECK and STATUS: which differences a plugin must detect. */
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
              "a missing interface is detected",
              "2, CHECK",
              MISSING_TEXT,
              INTERFACE,
              CheckStatusRequirements::missingInterface),
          new Requirement(
              "CHECK-3",
              "each missing address is detected",
              "2, CHECK",
              MISSING_TEXT,
              INTERFACE,
              CheckStatusRequirements::missingAddress),
          new Requirement(
              "CHECK-4",
              "each missing route is detected",
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
              "missing rules and qdiscs are detected",
              "2, CHECK",
              OTHER_RESOURCES_TEXT,
              ALL,
              CheckStatusRequirements::missingRulesOrQdiscs),
          new Requirement(
              "CHECK-7",
              "a missing reservation of an address is detected",
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
              context -> {
                context.assumeVersion(SpecVersion.V1_1_0);
                context.requireSuccess(
                    context.checkHost().request(Verb.STATUS), "of a plugin that is ready");
              }));

  private CheckStatusRequirements() {}

  /** Attaches a container for CHECK. */
  private static Container attachForCheck(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assumeVersion(SpecVersion.V0_4_0);
    Container container = context.createContainer();
    context.attach(container);
    return container;
  }

  private static void checkAfterAdd(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(context);
    NetNsSnapshot inside = NetNsSnapshot.of(container.netns());
    NetNsSnapshot outside = context.checkHost().hostState();
    context.requireSuccess(context.checkRequest(container), "right after ADD");
    NetNsSnapshot now = NetNsSnapshot.of(container.netns());
    context.require(now.equals(inside), "CHECK changed the container: " + now.minus(inside));
    now = context.checkHost().hostState();
    context.require(now.equals(outside), "CHECK changed the host: " + now.minus(outside));
  }

  private static void missingInterface(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(context);
    context.markTampered();
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      // Renamed instead of deleted: some interfaces, such as lo, cannot be deleted.
      Link link = routing.links(container.interfaceName()).getFirst();
      routing.execute(
          List.of(
              LinkRequests.setDown(link.index()),
              new LinkUpdate(link.index()).name("kit-away").request()));
      try {
        context.requireFailure(
            context.checkRequest(container), "of a container without its interface");
      } finally {
        routing.execute(new LinkUpdate(link.index()).name(container.interfaceName()).request());
      }
    }
  }

  private static void missingAddress(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(context);
    Result result = context.readResult(context.resultOf(container));
    context.assume(!result.ips().isEmpty(), "the result has no addresses");
    context.markTampered();
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      Link link = routing.links(container.interfaceName()).getFirst();
      for (InterfaceAddress it : routing.addresses(link.index())) {
        boolean listed =
            result.ips().stream().anyMatch(ip -> ip.address().address().equals(it.address()));
        if (listed) {
          routing.execute(it.deleteRequest());
          context.requireFailure(
              context.checkRequest(container), "without address " + it.address().getHostAddress());
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

  private static void missingRoute(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(context);
    Result result = context.readResult(context.resultOf(container));
    context.assume(!result.routes().isEmpty(), "the result has no routes");
    context.markTampered();
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      for (Result.Route wanted : result.routes()) {
        IpFamily family = IpFamily.of(wanted.destination().address());
        var network = wanted.destination().network();
        for (Route it : routing.routes(family)) {
          if (it.hasDestination(network.address(), network.prefix())) {
            routing.execute(it.deleteRequest());
            context.requireFailure(
                context.checkRequest(container), "without the route to " + wanted.destination());
            routing.execute(it.addRequest());
          }
        }
      }
    }
  }

  private static void checkWithoutPrevResult(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(context);
    context.requireFailure(
        context.checkRequest(container).withoutKey("prevResult"), "without prevResult");
  }

  private static void missingRulesOrQdiscs(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = attachForCheck(context);
    NetNsSnapshot created = context.checkHost().hostState().minus(context.baseline());
    boolean qdiscs = created.hasKind("qdisc");
    context.assume(qdiscs || created.hasKind("chain"), "an attachment has no rules and no qdiscs");
    context.markTampered();
    if (qdiscs) {
      removeQdiscs(context.checkHost().host());
    } else {
      removeRules(context.checkHost().host());
    }
    context.requireFailure(
        context.checkRequest(container), "without its " + (qdiscs ? "qdiscs" : "rules"));
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

  private static void missingReservation(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assume(
        context.subjectConfig().role() != SubjectConfig.Role.CHAINED,
        "the plugin does not assign addresses");
    Container container = attachForCheck(context);
    NetNsSnapshot created =
        NetNsSnapshot.of(context.checkHost().dataDirectory()).minus(context.baseline());
    context.assume(!created.isEmpty(), "an attachment has no reservation below @DIR@");
    context.markTampered();
    for (String line : created.lines()) {
      Files.delete(context.checkHost().dataDirectory().resolve(line.substring("file ".length())));
    }
    context.requireFailure(context.checkRequest(container), "without its reservations");
  }
}
