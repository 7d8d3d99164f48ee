// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import static cni.conformance.Requirement.ALL;
import static cni.conformance.Requirement.CHAINED;
import static cni.conformance.Requirement.INTERFACE;
import static cni.conformance.Requirement.IPAM;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Result;
import cni.conformance.CheckHost.Container;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.InterfaceAddress;
import cni.netlink.ffm.route.IpFamily;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.Route;
import cni.netlink.ffm.route.RouteSocket;
import cni.testing.NetNsSnapshot;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The requirements for ADD: what a plugin creates, and its result. */
final class AddRequirements {
  private static final String EXISTS_TEXT =
      "If an interface of the requested name already exists in the container, the CNI plugin MUST"
          + " return with an error.";
  private static final String PASS_ON_TEXT =
      "Plugins provided a prevResult key as part of their request configuration must output it as"
          + " their result, with any possible modifications made by that plugin included.";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "ADD-1",
              "the result lists the interface in its sandbox",
              "5, ADD Success",
              "interfaces: An array of all interfaces created by the attachment. For interfaces"
                  + " created inside the container, [sandbox] should be the value passed via"
                  + " CNI_NETNS.",
              INTERFACE,
              AddRequirements::interfaceIsListed),
          new Requirement(
              "ADD-2",
              "addresses point to interfaces of the result",
              "5, ADD Success",
              "interface (uint): the index into the interfaces list for a CNI Plugin Result"
                  + " indicating which interface this IP configuration should be applied to.",
              INTERFACE,
              AddRequirements::indicesAreValid),
          new Requirement(
              "ADD-3",
              "the interfaces of the result exist",
              "2, ADD",
              "create the interface defined by CNI_IFNAME inside the container at CNI_NETNS",
              INTERFACE,
              AddRequirements::interfacesExist),
          new Requirement(
              "ADD-4",
              "the addresses of the result are on their interfaces",
              "5, ADD Success",
              "ips: IPs assigned by this attachment.",
              INTERFACE,
              AddRequirements::addressesExist),
          new Requirement(
              "ADD-5",
              "the routes of the result exist",
              "5, ADD Success",
              "routes: Routes created by this attachment",
              INTERFACE,
              AddRequirements::routesExist),
          new Requirement(
              "ADD-6",
              "an interface that exists is an error",
              "2, ADD",
              EXISTS_TEXT,
              INTERFACE,
              AddRequirements::existingInterfaceIsRefused),
          new Requirement(
              "ADD-7",
              "a container can have a second interface",
              "2, ADD",
              "a given container ID may be added to a specific network more than once only if each"
                  + " addition is done with a different interface name.",
              INTERFACE,
              AddRequirements::secondInterface),
          new Requirement(
              "ADD-8",
              "a failed ADD leaves nothing behind",
              "2, Errors",
              "A plugin must exit with a return code of 0 on success, and non-zero on failure.",
              INTERFACE,
              AddRequirements::failedAddLeavesNothing),
          new Requirement(
              "CHAIN-1",
              "the previous result is passed on",
              "5, ADD Success",
              PASS_ON_TEXT,
              CHAINED,
              AddRequirements::prevResultIsPassedOn),
          new Requirement(
              "CHAIN-2",
              "addresses of the previous result keep their interfaces",
              "5, ADD Success",
              PASS_ON_TEXT,
              CHAINED,
              AddRequirements::indicesArePassedOn),
          new Requirement(
              "IPAM-1",
              "addresses are assigned",
              "4, Overview",
              "The IPAM plugin must determine the interface IP/subnet, Gateway and Routes and return"
                  + " this information to the \"main\" plugin to apply.",
              IPAM,
              context -> {
                JsonNode ips = context.attach(context.createContainer()).path("ips");
                context.require(ips.isArray() && !ips.isEmpty(), "the result has no ips: " + ips);
              }),
          new Requirement(
              "IPAM-2",
              "the result is abbreviated",
              "5, Delegated plugins (IPAM)",
              "Delegated IPAM plugins must return an abbreviated Success object. Specifically, it is"
                  + " missing the interfaces array, as well as the interface entry in ips.",
              IPAM,
              AddRequirements::resultIsAbbreviated),
          new Requirement(
              "CONCURRENT-1",
              "containers can be attached concurrently",
              "3, Lifecycle & Ordering",
              "Plugins must handle being executed concurrently across different containers. If"
                  + " necessary, they must implement locking on shared resources (e.g. IPAM"
                  + " databases).",
              ALL,
              ConcurrencyRequirement::check));

  private AddRequirements() {}

  private static void interfaceIsListed(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    ObjectNode result = context.attach(container);
    String sandbox = container.netns().path().toString();
    for (JsonNode it : result.path("interfaces")) {
      if (it.path("name").asString("").equals(container.interfaceName())
          && it.path("sandbox").asString("").equals(sandbox)) {
        return;
      }
    }
    throw new CheckFailure(
        "no interface " + container.interfaceName() + " in " + sandbox + ": " + result);
  }

  private static void indicesAreValid(CheckContext context)
      throws CheckFailure, CniException, IOException {
    ObjectNode result = context.attach(context.createContainer());
    for (JsonNode ip : result.path("ips")) {
      JsonNode index = ip.path("interface");
      context.require(
          index.isMissingNode()
              || (index.isIntegralNumber()
                  && index.intValue() >= 0
                  && index.intValue() < result.path("interfaces").size()),
          "address " + ip + " refers to none of " + result.path("interfaces"));
    }
  }

  /** Returns the namespace of an interface of a result; empty if it is a third one. */
  private static Optional<NetNs> namespaceOf(
      CheckContext context, Container container, Result.Interface it) {
    if (it.isOnHost()) {
      return Optional.of(context.checkHost().host());
    }
    return it.sandbox().equals(container.netns().path().toString())
        ? Optional.of(container.netns())
        : Optional.empty();
  }

  private static void interfacesExist(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    Result result = context.readResult(context.attach(container));
    for (Result.Interface it : result.interfaces()) {
      Optional<NetNs> place = namespaceOf(context, container, it);
      if (place.isPresent()) {
        try (RouteSocket routing = RouteSocket.open(place.get())) {
          Optional<Link> link = routing.link(it.name());
          context.require(link.isPresent(), it + " does not exist");
          context.require(
              it.mac().isEmpty() || link.get().mac().equalsIgnoreCase(it.mac()),
              it + " has hardware address " + link.get().mac());
        }
      }
    }
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      context.require(
          routing.link(container.interfaceName()).isPresent(),
          container.interfaceName() + " does not exist");
    }
  }

  private static void addressesExist(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = context.createContainer();
    Result result = context.readResult(context.attach(container));
    context.assume(!result.ips().isEmpty(), "the result has no addresses");
    for (int i = 0; i < result.interfaces().size(); i++) {
      Result.Interface it = result.interfaces().get(i);
      if (it.isOnHost()) {
        continue;
      }
      try (RouteSocket routing = RouteSocket.open(container.netns())) {
        Optional<Link> link = routing.link(it.name());
        List<Cidr> actual = link.isEmpty() ? List.of() : addresses(routing, link.get());
        for (Result.IpConfig ip : result.ipsOf(i)) {
          context.require(
              actual.contains(ip.address()),
              "address " + ip.address() + " is not on " + it.name() + ", which has " + actual);
        }
      }
    }
  }

  /** Returns the addresses of an interface. */
  static List<Cidr> addresses(RouteSocket routing, Link link) throws IOException {
    return routing.addresses(link.index()).stream()
        .map((InterfaceAddress it) -> new Cidr(it.address(), it.prefix()))
        .toList();
  }

  private static void routesExist(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = context.createContainer();
    Result result = context.readResult(context.attach(container));
    context.assume(!result.routes().isEmpty(), "the result has no routes");
    for (Result.Route route : result.routes()) {
      context.require(routeExists(container, route), "there is no route to " + route.destination());
    }
  }

  static boolean routeExists(Container container, Result.Route route) throws IOException {
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      IpFamily family = IpFamily.of(route.destination().address());
      Cidr wanted = route.destination().network();
      return routing.routes(family).stream()
          .anyMatch((Route it) -> it.hasDestination(wanted.address(), wanted.prefix()));
    }
  }

  private static void existingInterfaceIsRefused(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    context.attach(container);
    NetNsSnapshot before = NetNsSnapshot.of(container.netns());
    context.requireFailure(context.addRequest(container), "of an interface that exists");
    NetNsSnapshot after = NetNsSnapshot.of(container.netns());
    context.require(
        after.equals(before),
        "the failed ADD changed the container; removed: [%s]; added: [%s]"
            .formatted(before.minus(after), after.minus(before)));
  }

  private static void secondInterface(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assume(
        context.subjectConfig().containers() > 1, "only one container can be attached at a time");
    Container first = context.createContainer();
    context.attach(first);
    NetNsSnapshot before = NetNsSnapshot.of(first.netns());
    Container second = first.withInterfaceName("kit1");
    context.attach(second);
    NetNsSnapshot lost = before.minus(NetNsSnapshot.of(first.netns()));
    context.require(lost.isEmpty(), "the second interface changed the first: " + lost);
    context.detach(second);
    lost = before.minus(NetNsSnapshot.of(first.netns()));
    context.require(lost.isEmpty(), "removing the second interface changed the first: " + lost);
  }

  private static void failedAddLeavesNothing(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    String nowhere = context.checkHost().dataDirectory().resolve("no-namespace").toString();
    context.requireFailure(
        context.addRequest(container).withVariable("CNI_NETNS", nowhere),
        "to a namespace that does not exist");
    context.requireBaseline("after a failed ADD");
  }

  private static void prevResultIsPassedOn(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = context.createContainer();
    Result before = context.readResult(prevResult(context, container));
    Result after = context.readResult(context.attach(container));
    for (Result.Interface it : before.interfaces()) {
      context.require(after.find(it.name(), it.sandbox()).isPresent(), it + " is lost");
    }
    List<Cidr> addresses = after.ips().stream().map(Result.IpConfig::address).toList();
    for (Result.IpConfig ip : before.ips()) {
      context.require(addresses.contains(ip.address()), "address " + ip.address() + " is lost");
    }
    context.require(after.routes().containsAll(before.routes()), "routes are lost");
    context.require(after.dns().equals(before.dns()), "dns became " + after.dns());
  }

  private static ObjectNode prevResult(CheckContext context, Container container)
      throws NotApplicable {
    context.assume(container.prevResult().isPresent(), "the plugin is the first of its chain");
    return container.prevResult().orElseThrow();
  }

  private static void indicesArePassedOn(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = context.createContainer();
    Result before = context.readResult(prevResult(context, container));
    Result after = context.readResult(context.attach(container));
    for (Result.IpConfig ip : before.ips()) {
      for (Result.IpConfig now : after.ips()) {
        if (now.address().equals(ip.address())) {
          String expected = interfaceOf(before, ip);
          String actual = interfaceOf(after, now);
          context.require(
              actual.equals(expected),
              ip.address() + " refers to " + actual + " instead of " + expected);
        }
      }
    }
  }

  private static String interfaceOf(Result result, Result.IpConfig ip) {
    int index = ip.interfaceIndex().orElse(-1);
    return index < 0 || index >= result.interfaces().size()
        ? "no interface"
        : result.interfaces().get(index).name();
  }

  private static void resultIsAbbreviated(CheckContext context)
      throws CheckFailure, CniException, IOException {
    ObjectNode result = context.attach(context.createContainer());
    context.require(result.path("interfaces").isEmpty(), "the result has interfaces: " + result);
    for (JsonNode ip : result.path("ips")) {
      context.require(!ip.has("interface"), "an address refers to an interface: " + ip);
    }
  }
}
