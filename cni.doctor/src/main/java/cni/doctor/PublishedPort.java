package cni.doctor;

import cni.api.InetAddresses;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;

/**
 * An entry of the capability argument {@code portMappings}.
 *
 * @param hostPort the port of the host
 * @param protocol {@code tcp}, {@code udp} or {@code sctp}
 * @param hostIp the only address of the host; absent for all
 */
record PublishedPort(int hostPort, String protocol, Optional<InetAddress> hostIp) {
  /** Returns the ports of an attachment whose chain publishes them; CHECK reports invalid ones. */
  static List<PublishedPort> of(AttachmentView attachment) {
    List<PublishedPort> ports = new ArrayList<>();
    if (attachment.plugin("portmap").isEmpty()) {
      return ports;
    }
    JsonNode mappings = attachment.attachment().capabilityArgs().get("portMappings");
    if (mappings != null) {
      for (JsonNode mapping : mappings) {
        ports.add(
            new PublishedPort(
                mapping.path("hostPort").asInt(0),
                mapping.path("protocol").asString("tcp"),
                address(mapping.path("hostIP").asString(""))));
      }
    }
    return ports;
  }

  private static Optional<InetAddress> address(String text) {
    try {
      return text.isEmpty()
          ? Optional.empty()
          : Optional.of(InetAddresses.parse(text)).filter(it -> !it.isAnyLocalAddress());
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  @Override
  public String toString() {
    return hostPort + "/" + protocol;
  }
}
