package cni.doctor.traffic;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.JsonNode;

/**
 * A port of the host that leads to a port of a container: an entry of the capability argument
 * {@code portMappings}.
 *
 * @param hostIp the address of the host; empty for all
 * @param hostPort the port of the host
 * @param containerPort the port of the container
 * @param protocol in lower case, such as tcp
 */
public record PublishedPort(String hostIp, int hostPort, int containerPort, String protocol) {
  /** Reads capability arguments. Entries that are not valid are left out: ADD refuses them. */
  static List<PublishedPort> read(JsonNode mappings) {
    List<PublishedPort> ports = new ArrayList<>();
    for (JsonNode entry : mappings) {
      int hostPort = entry.path("hostPort").asInt(0);
      int containerPort = entry.path("containerPort").asInt(0);
      if (hostPort > 0 && containerPort > 0) {
        ports.add(
            new PublishedPort(
                entry.path("hostIP").asString(""),
                hostPort,
                containerPort,
                entry.path("protocol").asString("tcp").toLowerCase(Locale.ROOT)));
      }
    }
    return ports;
  }

  /** Returns the port in the form {@code 192.0.2.1:8080→80/tcp}; IPv6 addresses in brackets. */
  @Override
  public String toString() {
    String address = hostIp.indexOf(':') < 0 ? hostIp : "[" + hostIp + "]";
    return (address.isEmpty() ? "" : address + ":")
        + hostPort
        + "→"
        + containerPort
        + "/"
        + protocol;
  }
}
