// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.AttachmentUpdate;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.JavaProcess;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The main class of a runtime that another process kills. */
final class RuntimeProcess {
  private RuntimeProcess() {}

  /** The published ports that the attachment is made with. */
  static final String PORT_MAPPINGS = port(8080);

  /** A file that does not exist; the process looks for it before each operation. */
  static final String MARKER = "/cni-test-operation-begins";

  private static String port(int hostPort) {
    return "[" + portMapping(hostPort, "tcp") + "]";
  }

  private static String portMapping(int hostPort, String protocol) {
    return "{ \"hostPort\": %d, \"containerPort\": 80, \"protocol\": \"%s\" }"
        .formatted(hostPort, protocol);
  }

  private static JsonNode json(String text) throws CniException {
    return Json.parse("{\"of\":" + text + "}", "test").path("of");
  }

  /** The addresses that the attachment of {@link UpdateKillTest} is made with. */
  static final String ADDRESSES = "[ \"10.50.0.10\", \"fd50::10\" ]";

  private static AttachmentUpdate update(
      String mtu, boolean masquerades, String rate, String backlog, String portMappings)
      throws CniException {
    return AttachmentUpdate.NONE
        .withKey("bridge", "mtu", json(mtu))
        .withKey("bridge", "ipMasq", json("" + masquerades))
        .withKey("bandwidth", "ingressRate", json(rate))
        .withKey("tuning", "sysctl", json("{ \"net.core.somaxconn\": \"" + backlog + "\" }"))
        .withCapabilityArg("portMappings", json(portMappings));
  }

  /** Changes the chain itself, the addresses and the keys that DEL needs a saved value for. */
  private static void changeChain(Cni cni, AttachmentId id) throws CniException {
    ObjectNode json = cni.network("n").config().json().deepCopy();
    ArrayNode plugins = json.withArray("plugins");
    ((ObjectNode) plugins.get(0)).put("mtu", 1300).put("hairpinMode", true).remove("ipMasq");
    plugins.removeIf(it -> it.path("type").asString("").equals("bandwidth"));
    ObjectNode tuning = (ObjectNode) plugins.get(plugins.size() - 1);
    tuning.putObject("sysctl").put("net.ipv4.conf.IFNAME.arp_filter", "1");
    tuning.put("txQLen", 77);
    plugins.addObject().put("type", "firewall").put("backend", "iptables");
    String ports = "[%s, %s]".formatted(portMapping(8080, "tcp"), portMapping(8082, "udp"));
    cni.network(NetworkConfig.parse(Json.bytes(json), "test"))
        .update(
            id,
            AttachmentUpdate.NONE
                .withNetworkConfig()
                .withCapabilityArg("portMappings", json(ports))
                .withCapabilityArg("ips", json("[ \"10.50.0.77\", \"fd50::10\" ]")));
  }

  /**
   * Returns the command that runs operations on the network {@code n} of a host.
   *
   * @param verbs those of {@link #run}
   */
  static List<String> command(TestHost host, NetNs container, String... verbs) {
    List<String> command =
        new ArrayList<>(
            JavaProcess.command(
                RuntimeProcess.class,
                host.networks().toString(),
                host.executables().toString(),
                host.cache().toString(),
                host.netns().path().toString(),
                container.path().toString()));
    command.addAll(List.of(verbs));
    return command;
  }

  /**
   * Runs operations on one attachment.
   *
   * @param args the directories of networks, executables and results, the paths of the host's and
   *     the container's namespaces, then the verbs
   */
  public static void main(String[] args) throws Exception {
    Path container = Path.of(args[4]);
    Attachment attachment;
    try (NetNs netns = NetNs.open(container)) {
      attachment = TestHost.attachment(netns, "portMappings", PORT_MAPPINGS);
    }
    try (Cni cni =
        Cni.builder()
            .networks(Path.of(args[0]))
            .executables(Path.of(args[1]))
            .cache(Path.of(args[2]))
            .hostNamespace(Path.of(args[3]))
            .build()) {
      for (String verb : List.of(args).subList(5, args.length)) {
        boolean _ = Files.exists(Path.of(MARKER));
        run(verb, cni, attachment);
      }
      boolean _ = Files.exists(Path.of(MARKER));
    }
  }

  /**
   * Runs an operation on the network {@code n}.
   *
   * @param verb ADD, REPAIR, DEL; UPDATE and CHANGE_CHAIN for two updates of {@link
   *     UpdateKillTest}'s attachment; REVERT and REVERT_CHAIN for those to its state before
   */
  static void run(String verb, Cni cni, Attachment attachment) throws CniException {
    Network network = cni.network("n");
    AttachmentId id = attachment.id();
    switch (verb) {
      case "ADD" -> {
        var args = CapabilityArgs.of(attachment.capabilityArgs());
        network.add(attachment.withCapabilityArgs(args.only(network.capabilities().names())));
      }
      case "UPDATE" -> network.update(id, update("1400", false, "700000000", "300", port(8081)));
      case "REVERT" -> network.update(id, update("1450", true, "800000000", "500", PORT_MAPPINGS));
      case "CHANGE_CHAIN" -> changeChain(cni, id);
      case "REVERT_CHAIN" ->
          network.update(
              id,
              AttachmentUpdate.NONE
                  .withNetworkConfig()
                  .withCapabilityArg("portMappings", json(PORT_MAPPINGS))
                  .withCapabilityArg("ips", json(ADDRESSES)));
      case "REPAIR" -> network.repair(id);
      case "DEL" -> network.delete(attachment);
      default -> throw new IllegalArgumentException(verb);
    }
  }
}
