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

/** ADD: what is made, and what is said of it. */
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
              "an ADD that fails leaves nothing",
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
              "addresses of the previous result stay with their interfaces",
              "5, ADD Success",
              PASS_ON_TEXT,
              CHAINED,
              AddRequirements::indicesArePassedOn),
          new Requirement(
              "IPAM-1",
              "addresses are given out",
              "4, Overview",
              "The IPAM plugin must determine the interface IP/subnet, Gateway and Routes and return"
                  + " this information to the \"main\" plugin to apply.",
              IPAM,
              trial -> {
                JsonNode ips = trial.attach(trial.createContainer()).path("ips");
                trial.require(ips.isArray() && !ips.isEmpty(), "there are no ips: " + ips);
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
              "containers can be attached side by side",
              "3, Lifecycle & Ordering",
              "Plugins must handle being executed concurrently across different containers. If"
                  + " necessary, they must implement locking on shared resources (e.g. IPAM"
                  + " databases).",
              ALL,
              ConcurrencyRequirement::check));

  private AddRequirements() {}

  private static void interfaceIsListed(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    ObjectNode result = trial.attach(container);
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

  private static void indicesAreValid(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    ObjectNode result = trial.attach(trial.createContainer());
    for (JsonNode ip : result.path("ips")) {
      JsonNode index = ip.path("interface");
      trial.require(
          index.isMissingNode()
              || (index.isIntegralNumber()
                  && index.intValue() >= 0
                  && index.intValue() < result.path("interfaces").size()),
          "address " + ip + " belongs to none of " + result.path("interfaces"));
    }
  }

  /** Where an interface of a result is; empty for one that is somewhere else. */
  private static Optional<NetNs> namespaceOf(
      CheckContext trial, Container container, Result.Interface it) {
    if (it.isOnHost()) {
      return Optional.of(trial.testBed().host());
    }
    return it.sandbox().equals(container.netns().path().toString())
        ? Optional.of(container.netns())
        : Optional.empty();
  }

  private static void interfacesExist(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    Result result = trial.readResult(trial.attach(container));
    for (Result.Interface it : result.interfaces()) {
      Optional<NetNs> place = namespaceOf(trial, container, it);
      if (place.isPresent()) {
        try (RouteSocket routing = RouteSocket.open(place.get())) {
          Optional<Link> link = routing.link(it.name());
          trial.require(link.isPresent(), it + " does not exist");
          trial.require(
              it.mac().isEmpty() || link.get().mac().equalsIgnoreCase(it.mac()),
              it + " has hardware address " + link.get().mac());
        }
      }
    }
    try (RouteSocket routing = RouteSocket.open(container.netns())) {
      trial.require(
          routing.link(container.interfaceName()).isPresent(),
          container.interfaceName() + " does not exist");
    }
  }

  private static void addressesExist(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = trial.createContainer();
    Result result = trial.readResult(trial.attach(container));
    trial.assume(!result.ips().isEmpty(), "the result has no addresses");
    for (int i = 0; i < result.interfaces().size(); i++) {
      Result.Interface it = result.interfaces().get(i);
      if (it.isOnHost()) {
        continue;
      }
      try (RouteSocket routing = RouteSocket.open(container.netns())) {
        Optional<Link> link = routing.link(it.name());
        List<Cidr> there =
            link.isEmpty()
                ? List.of()
                : routing.addresses(link.get().index()).stream()
                    .map((InterfaceAddress a) -> new Cidr(a.address(), a.prefix()))
                    .toList();
        for (Result.IpConfig ip : result.ipsOf(i)) {
          trial.require(
              there.contains(ip.address()),
              "address " + ip.address() + " is not on " + it.name() + ", which has " + there);
        }
      }
    }
  }

  private static void routesExist(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = trial.createContainer();
    Result result = trial.readResult(trial.attach(container));
    trial.assume(!result.routes().isEmpty(), "the result has no routes");
    for (Result.Route route : result.routes()) {
      trial.require(routeExists(container, route), "there is no route to " + route.destination());
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

  private static void existingInterfaceIsRefused(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    trial.attach(container);
    NetNsSnapshot before = NetNsSnapshot.of(container.netns());
    trial.requireFailure(trial.addRequest(container), "of an interface that exists");
    NetNsSnapshot after = NetNsSnapshot.of(container.netns());
    trial.require(
        after.equals(before),
        "the ADD that failed changed the container; gone: [%s]; new: [%s]"
            .formatted(before.minus(after), after.minus(before)));
  }

  private static void secondInterface(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.assume(trial.subjectConfig().containers() > 1, "one can be attached at a time");
    Container first = trial.createContainer();
    trial.attach(first);
    NetNsSnapshot before = NetNsSnapshot.of(first.netns());
    Container second = first.withInterfaceName("kit1");
    trial.attach(second);
    NetNsSnapshot lost = before.minus(NetNsSnapshot.of(first.netns()));
    trial.require(lost.isEmpty(), "the second interface changed the first: " + lost);
    trial.detach(second);
    lost = before.minus(NetNsSnapshot.of(first.netns()));
    trial.require(lost.isEmpty(), "removing the second interface changed the first: " + lost);
  }

  private static void failedAddLeavesNothing(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    String nowhere = trial.testBed().dataDirectory().resolve("no-namespace").toString();
    trial.requireFailure(
        trial.addRequest(container).withVariable("CNI_NETNS", nowhere),
        "to a namespace that does not exist");
    trial.requireBaseline("after an ADD that failed");
  }

  private static void prevResultIsPassedOn(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = trial.createContainer();
    Result before = trial.readResult(prevResult(trial, container));
    Result after = trial.readResult(trial.attach(container));
    for (Result.Interface it : before.interfaces()) {
      trial.require(after.find(it.name(), it.sandbox()).isPresent(), it + " is lost");
    }
    List<Cidr> addresses = after.ips().stream().map(Result.IpConfig::address).toList();
    for (Result.IpConfig ip : before.ips()) {
      trial.require(addresses.contains(ip.address()), "address " + ip.address() + " is lost");
    }
    trial.require(after.routes().containsAll(before.routes()), "routes are lost");
    trial.require(after.dns().equals(before.dns()), "dns became " + after.dns());
  }

  private static ObjectNode prevResult(CheckContext trial, Container container)
      throws NotApplicable {
    trial.assume(container.prevResult().isPresent(), "it is the first of its chain");
    return container.prevResult().orElseThrow();
  }

  private static void indicesArePassedOn(CheckContext trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Container container = trial.createContainer();
    Result before = trial.readResult(prevResult(trial, container));
    Result after = trial.readResult(trial.attach(container));
    for (Result.IpConfig ip : before.ips()) {
      for (Result.IpConfig now : after.ips()) {
        if (now.address().equals(ip.address())) {
          String wanted = interfaceOf(before, ip);
          String is = interfaceOf(after, now);
          trial.require(is.equals(wanted), ip.address() + " is of " + is + " instead of " + wanted);
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

  private static void resultIsAbbreviated(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    ObjectNode result = trial.attach(trial.createContainer());
    trial.require(result.path("interfaces").isEmpty(), "there are interfaces: " + result);
    for (JsonNode ip : result.path("ips")) {
      trial.require(!ip.has("interface"), "an address belongs to an interface: " + ip);
    }
  }
}
