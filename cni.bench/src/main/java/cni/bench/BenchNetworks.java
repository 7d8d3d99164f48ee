package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * Containers without anything in them, and networks to attach them to. This process's own namespace
 * is the host: it must be one that nobody else uses.
 */
final class BenchNetworks implements AutoCloseable {
  /** The types that the networks need. */
  private static final String[] TYPES = {"bridge", "host-local", "portmap", "firewall"};

  /** Who serves a network. */
  enum Implementation {
    /** The modules of this project. */
    MODULES("own", 160),
    /** The reference plugins, run by this project's runtime. */
    EXECUTABLES("ref", 170);

    final String label;
    final int subnet;

    Implementation(String label, int subnet) {
      this.label = label;
      this.subnet = subnet;
    }
  }

  /** What a network consists of. */
  enum Chain {
    BRIDGE(0, "bridge + host-local"),
    RULES(1, "bridge (ipMasq) + portmap + firewall");

    final int number;
    final String title;

    Chain(int number, String title) {
      this.number = number;
      this.title = title;
    }
  }

  private final TestBed bed;
  private final Path executables;
  private final List<NetNs> containers = new ArrayList<>();
  private final List<Cni> hosts = new ArrayList<>();

  private BenchNetworks(TestBed bed, Path executables) {
    this.bed = bed;
    this.executables = executables;
  }

  /** Creates the containers' namespaces. */
  static BenchNetworks open(int containers, Path executables) throws IOException {
    var networks = new BenchNetworks(new TestBed("bench"), executables);
    for (int i = 0; i < containers; i++) {
      networks.containers.add(networks.bed.namespace(Integer.toString(i)));
    }
    return networks;
  }

  int containerCount() {
    return containers.size();
  }

  Path directory() {
    return bed.directory();
  }

  /** The containers' files. */
  List<Path> namespaces() {
    return containers.stream().map(NetNs::path).toList();
  }

  Attachment attachment(int container) {
    return TestHost.attachment(containers.get(container))
        .withCapabilityArgs(Map.of("portMappings", capabilities(container).get("portMappings")));
  }

  /** The capabilities of a container as JSON. */
  String capabilityArgs(int container) {
    return "{ \"portMappings\": [{ \"hostPort\": %d, \"containerPort\": 80, \"protocol\": \"tcp\" }] }"
        .formatted(20_000 + container);
  }

  private ObjectNode capabilities(int container) {
    try {
      return Json.parse(capabilityArgs(container).getBytes(UTF_8), "capabilities");
    } catch (CniException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A network with files of its own. */
  Network network(Implementation contender, Chain chain) throws IOException, CniException {
    String name = contender.label + "-" + chain.number;
    return network(contender, name, configuration(name, contender, chain));
  }

  /** A network that gives out addresses and does nothing with them. */
  Network addresses(Implementation contender) throws IOException, CniException {
    String name = contender.label + "-ips";
    // GC came with 1.1.0, which the executables of Debian 12 do not know.
    String version = contender == Implementation.MODULES ? "1.1.0" : "1.0.0";
    return network(
        contender,
        name,
        """
        { "cniVersion": "%s", "name": "%s", "plugins": [
          { "type": "host-local",
            "ipam": { "type": "host-local", "subnet": "10.200.0.0/16", "dataDir": "%s" } } ] }
        """
            .formatted(version, name, directory().resolve(name).resolve("data")));
  }

  private Network network(Implementation contender, String name, String configuration)
      throws IOException, CniException {
    Path own = Files.createDirectories(directory().resolve(name));
    Files.writeString(own.resolve(name + ".conflist"), configuration);
    Cni.Builder builder = Cni.builder().networks(own).cache(own).executables(executables);
    if (contender == Implementation.EXECUTABLES) {
      builder.preferExecutables(TYPES);
    }
    Cni host = builder.build();
    hosts.add(host);
    return host.network(name);
  }

  /** Where the network's configuration and results are. */
  Path directory(Network network) {
    return directory().resolve(network.name());
  }

  /** Where the network's leases are. */
  Path reservationDirectory(Network network) {
    return directory(network).resolve("data").resolve(network.name());
  }

  private String configuration(String name, Implementation contender, Chain chain) {
    int subnet = contender.subnet + chain.number;
    String rules =
        """
        , { "type": "portmap", "capabilities": { "portMappings": true } },
          { "type": "firewall" }""";
    return """
    { "cniVersion": "1.0.0", "name": "%s", "plugins": [
      { "type": "bridge", "bridge": "%s", "isDefaultGateway": true, "ipMasq": %s,
        "ipam": { "type": "host-local", "subnet": "10.%d.0.0/16", "dataDir": "%s" } }%s ] }
    """
        .formatted(
            name,
            name,
            chain == Chain.RULES,
            subnet,
            directory().resolve(name).resolve("data"),
            chain == Chain.RULES ? rules : "");
  }

  @Override
  public void close() throws IOException {
    hosts.forEach(Cni::close);
    bed.close();
  }
}
