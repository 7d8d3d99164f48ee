package cni.plugins.bridge;

import static cni.plugins.support.AttachmentCheck.mismatch;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.Cidr;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.InterfaceCidrs;
import cni.plugins.support.Masquerade;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** One CHECK: compares bridge, port, the container's interface, its addresses, routes and rules. */
final class BridgeCheck {
  private static final String HOST = "the host";

  private final AttachmentRequest request;
  private final BridgeConfig config;
  private final NetNsSession host;
  private final NetNsSession container;
  private final Result result;

  BridgeCheck(
      AttachmentRequest request, BridgeConfig config, NetNsSession host, NetNsSession container)
      throws CniException {
    this.request = request;
    this.config = config;
    this.host = host;
    this.container = container;
    this.result = request.requirePrevResult();
  }

  void check() throws CniException {
    Link bridge = checkBridge();
    int index = AttachmentCheck.requireIndex(request, result);
    Result.Interface expected = result.interfaces().get(index);
    String where = "the container (" + expected.sandbox() + ")";
    Link containerEnd = AttachmentCheck.requireLink(container, expected, where);
    Optional<Result.Interface> adopted = BridgePlugin.adoptedInterface(result, config.bridge());
    if (adopted.isPresent()) {
      Link port = AttachmentCheck.requireLink(host, adopted.get(), HOST);
      requireMaster(port, bridge);
    } else {
      AttachmentCheck.requireKind(containerEnd, "veth", where);
      checkVeth(bridge, containerEnd);
    }
    checkRules(containerEnd, index);
    AttachmentCheck.requireAddresses(container, containerEnd, result.ipsOf(index));
    AttachmentCheck.requireRoutes(container, result.routes());
    // With forceAddress another network may legitimately have replaced the bridge's address.
    if (config.isGateway() && !config.forceAddress() && config.vlans().pvid() == 0) {
      checkGateways(bridge, index);
    }
  }

  private void checkRules(Link containerEnd, int index) throws CniException {
    String network = request.config().network();
    AttachmentId id = request.attachment().id();
    if (config.masqueradeBackend().isPresent() && config.ipam().isPresent()) {
      new Masquerade(host, network, id)
          .check(
              config.masqueradeBackend().get(),
              result.ipsOf(index).stream().map(Result.IpConfig::address).toList());
    }
    if (config.spoofCheck()) {
      new MacSpoofCheck(host, network, id).check(containerEnd.mac());
    }
  }

  private Link checkBridge() throws CniException {
    Result.Interface expected =
        result
            .find(config.bridge(), "")
            .orElseThrow(
                () -> invalid("prevResult has no interface " + config.bridge() + " on the host"));
    Link bridge = AttachmentCheck.requireLink(host, expected, HOST);
    AttachmentCheck.requireKind(bridge, "bridge", HOST);
    boolean promiscuous = (bridge.flags() & LinkConstants.IFF_PROMISC) != 0;
    if (promiscuous != config.promiscMode()) {
      throw mismatch(
          "bridge %s has promiscuous mode %s, promiscMode in the configuration is %s"
              .formatted(bridge.name(), promiscuous ? "on" : "off", config.promiscMode()));
    }
    return bridge;
  }

  /** Finds the veth's host end, by its peer, among the interfaces of the result on the host. */
  private void checkVeth(Link bridge, Link containerEnd) throws CniException {
    for (Result.Interface expected : result.interfaces()) {
      if (!expected.isOnHost() || expected.name().equals(config.bridge())) {
        continue;
      }
      Link end = AttachmentCheck.requireLink(host, expected, HOST);
      if (end.isKind("veth") && end.index() == containerEnd.linkedIndex()) {
        if (end.linkedIndex() != containerEnd.index()) {
          throw mismatch(
              "the peer of %s is interface %d, expected %d, which is %s in the container"
                  .formatted(
                      end.name(), end.linkedIndex(), containerEnd.index(), containerEnd.name()));
        }
        requireMaster(end, bridge);
        return;
      }
    }
    throw mismatch(
        "the peer of %s in the container is interface %d of the host, which prevResult does not name"
            .formatted(containerEnd.name(), containerEnd.linkedIndex()));
  }

  private void requireMaster(Link port, Link bridge) throws CniException {
    if (port.master() != bridge.index()) {
      throw mismatch(
          port.master() == 0
              ? "interface %s is not a port of bridge %s".formatted(port.name(), bridge.name())
              : "interface %s is a port of interface %d, expected bridge %s"
                  .formatted(port.name(), port.master(), bridge.name()));
    }
  }

  private void checkGateways(Link bridge, int index) throws CniException {
    List<Cidr> present;
    try {
      present = InterfaceCidrs.list(host, bridge.index());
    } catch (IOException e) {
      throw NetNsSession.failure("listing the addresses of " + bridge.name(), e);
    }
    for (Cidr gateway : Bridge.gateways(result.ipsOf(index))) {
      if (!present.contains(gateway)) {
        throw mismatch(
            "bridge %s does not have the gateway's address %s; it has %s"
                .formatted(bridge.name(), gateway, present));
      }
    }
  }

  private static CniException invalid(String message) {
    return new CniException(ErrorCode.INVALID_CONFIG, message);
  }
}
