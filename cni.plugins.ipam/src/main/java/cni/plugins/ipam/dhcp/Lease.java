// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.Names;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/**
 * A lease of one attachment in one protocol, as stored in its file.
 *
 * @param network the network's name
 * @param id the container and its interface
 * @param family the protocol
 * @param namespace the path of the container's network namespace
 * @param linkIdentity identifies the interface ({@link ContainerLink#identity}), as another one may
 *     get the same name later
 * @param options the options that the client sends and requests
 * @param maxRetransmitDelay the longest delay between two messages of the client
 * @param owner the id of the {@link LeaseManager} that renews the lease; empty for none
 * @param binding the granted addresses and times
 */
record Lease(
    String network,
    AttachmentId id,
    DhcpFamily family,
    Path namespace,
    String linkIdentity,
    DhcpClientOptions options,
    Duration maxRetransmitDelay,
    String owner,
    Binding binding) {
  private static final int MAX_CLIENT_ID_LENGTH = 254;

  /** Returns the client identifier, composed like the reference plugin's. */
  String clientId() {
    return clientId(network, id);
  }

  static String clientId(String network, AttachmentId id) {
    String text = id.containerId() + "/" + network + "/" + id.interfaceName();
    return text.substring(0, Math.min(text.length(), MAX_CLIENT_ID_LENGTH));
  }

  /** Returns a copy with another binding, owner and interface. */
  Lease with(Binding newBinding, String newOwner, String newLink) {
    return new Lease(
        network, id, family, namespace, newLink, options, maxRetransmitDelay, newOwner, newBinding);
  }

  /** Returns a copy with another binding. */
  Lease with(Binding newBinding) {
    return with(newBinding, owner, linkIdentity);
  }

  boolean hasSameOwner(Lease other) {
    return owner.equals(other.owner);
  }

  boolean isExpired() {
    return !binding.untilExpiry().isPositive();
  }

  ObjectNode toJson() throws CniException {
    ObjectNode json = Json.object();
    json.put("network", network);
    json.put("containerId", id.containerId());
    json.put("ifName", id.interfaceName());
    json.put("family", family.text());
    json.put("netns", namespace.toString());
    json.put("link", linkIdentity);
    json.set("options", options.toJson());
    json.put("longestPause", maxRetransmitDelay.toMillis());
    json.put("keeper", owner);
    json.set("binding", binding.toJson());
    return json;
  }

  /**
   * Parses what {@link #toJson} wrote.
   *
   * @throws CniException code 7 if a value is missing or invalid
   */
  static Lease read(ConfigObject json) throws CniException {
    Optional<ConfigObject> options = json.object("options");
    Optional<ConfigObject> binding = json.object("binding");
    if (options.isEmpty() || binding.isEmpty()) {
      throw json.invalid("binding", "is missing, or options is");
    }
    var lease =
        new Lease(
            Names.requireNetworkName(json.text("network").orElse("")),
            new AttachmentId(
                Names.requireContainerId(json.text("containerId").orElse("")),
                Names.requireInterfaceName(json.text("ifName").orElse(""))),
            json.parsed("family", DhcpFamily::parse).orElse(DhcpFamily.IPV4),
            json.parsed("netns", Path::of).orElse(Path.of("")),
            json.text("link").orElse(""),
            DhcpClientOptions.read(options.get()),
            Binding.millis(json, "longestPause"),
            json.text("keeper").orElse(""),
            Binding.read(binding.get()));
    if (!lease.isUsable()) {
      throw json.invalid("binding", "has no address, or no server, of the lease's family");
    }
    return lease;
  }

  /** Whether a client can renew and release the lease. */
  private boolean isUsable() {
    List<InetAddress> addresses = binding.addresses();
    boolean isV4 = family == DhcpFamily.IPV4;
    if (addresses.isEmpty() || addresses.stream().anyMatch(it -> InetAddresses.isV4(it) != isV4)) {
      return false;
    }
    try {
      String server = binding.server();
      return server.isEmpty()
          || (isV4
              ? InetAddresses.isV4(InetAddresses.parse(server))
              : HexFormat.of().parseHex(server).length > 0);
    } catch (IllegalArgumentException e) {
      return false;
    }
  }
}
