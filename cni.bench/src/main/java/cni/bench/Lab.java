package cni.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/**
 * Containers without anything in them, and networks to attach them to. This process's own namespace
 * is the host: it must be one that nobody else uses.
 */
final class Lab implements AutoCloseable {
  /** The types that the networks need. */
  private static final String[] TYPES = {"bridge", "host-local", "portmap", "firewall"};

  /** Who serves a network. */
  enum Contender {
    /** The modules of this project. */
    MODULES("own", 160),
    /** The reference plugins, run by this project's runtime. */
    EXECUTABLES("ref", 170);

    final String label;
    final int subnet;

    Contender(String label, int subnet) {
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

  private final Path directory;
  private final Path executables;
  private final List<Path> namespaces = new ArrayList<>();
  private final List<Cni> hosts = new ArrayList<>();

  private Lab(Path directory, Path executables) {
    this.directory = directory;
    this.executables = executables;
  }

  /** Makes the containers. */
  static Lab open(int containers, Path executables) throws IOException {
    var lab = new Lab(Files.createTempDirectory("cni-bench-"), executables);
    for (int i = 0; i < containers; i++) {
      try (NetNs namespace = NetNs.create(lab.name(i))) {
        lab.namespaces.add(namespace.path());
      }
    }
    return lab;
  }

  private String name(int container) {
    return directory.getFileName() + "-" + container;
  }

  int size() {
    return namespaces.size();
  }

  Path directory() {
    return directory;
  }

  /** The containers' files. */
  List<Path> namespaces() {
    return List.copyOf(namespaces);
  }

  Attachment attachment(int container) {
    return Attachment.of(name(container), namespaces.get(container), "eth0")
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
  Network network(Contender contender, Chain chain) throws IOException, CniException {
    String name = contender.label + "-" + chain.number;
    return network(contender, name, configuration(name, contender, chain));
  }

  /** A network that gives out addresses and does nothing with them. */
  Network addresses(Contender contender) throws IOException, CniException {
    String name = contender.label + "-ips";
    // GC came with 1.1.0, which the executables of Debian 12 do not know.
    String version = contender == Contender.MODULES ? "1.1.0" : "1.0.0";
    return network(
        contender,
        name,
        """
        { "cniVersion": "%s", "name": "%s", "plugins": [
          { "type": "host-local",
            "ipam": { "type": "host-local", "subnet": "10.200.0.0/16", "dataDir": "%s" } } ] }
        """
            .formatted(version, name, directory.resolve(name).resolve("data")));
  }

  private Network network(Contender contender, String name, String configuration)
      throws IOException, CniException {
    Path own = Files.createDirectories(directory.resolve(name));
    Files.writeString(own.resolve(name + ".conflist"), configuration);
    Cni.Builder builder = Cni.builder().networks(own).cache(own).executables(executables);
    if (contender == Contender.EXECUTABLES) {
      builder.preferExecutables(TYPES);
    }
    Cni host = builder.build();
    hosts.add(host);
    return host.network(name);
  }

  /** Where the network's configuration and results are. */
  Path directory(Network network) {
    return directory.resolve(network.name());
  }

  /** Where the network's leases are. */
  Path leases(Network network) {
    return directory(network).resolve("data").resolve(network.name());
  }

  private String configuration(String name, Contender contender, Chain chain) {
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
            directory.resolve(name).resolve("data"),
            chain == Chain.RULES ? rules : "");
  }

  @Override
  public void close() throws IOException {
    hosts.forEach(Cni::close);
    for (int i = 0; i < namespaces.size(); i++) {
      NetNs.delete(name(i));
    }
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
