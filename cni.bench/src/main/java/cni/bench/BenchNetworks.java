// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.CniException;
import cni.api.PortMapping;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.runtime.Network;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Network namespaces of containers, and networks to attach them to. The namespace of this process
 * is the host; no other process may use it.
 */
final class BenchNetworks implements AutoCloseable {
  /** The plugin types that the networks use. */
  private static final String[] TYPES = {
    "bridge", "host-local", "portmap", "firewall", "bandwidth", "tuning"
  };

  private static final String PORTMAP =
      ", { \"type\": \"portmap\", \"capabilities\": { \"portMappings\": true } }";
  private static final String FIREWALL = ", { \"type\": \"firewall\" }";
  private static final String BANDWIDTH =
      ", { \"type\": \"bandwidth\", \"ingressRate\": 1000000000, \"ingressBurst\": 1000000,"
          + " \"egressRate\": 1000000000, \"egressBurst\": 1000000 }";
  private static final String TUNING =
      ", { \"type\": \"tuning\", \"sysctl\": { \"net.core.somaxconn\": \"500\" } }";

  /** The port of the first container on the host; the others follow. */
  static final int FIRST_PORT = 20_000;

  /** The implementation of the plugins of a network, and how it is called. */
  enum Implementation {
    /** The modules of this project. */
    MODULES("own", 160),
    /** The reference plugins, run by this project's runtime. */
    EXECUTABLES("ref", 170),
    /** The executables of the image, which pass the request to a resident host. */
    HOST("host", 180),
    /** The executables of the image without a resident host. */
    IMAGE("img", 190);

    final String label;
    final int subnet;

    Implementation(String label, int subnet) {
      this.label = label;
      this.subnet = subnet;
    }
  }

  /** The plugin chain of a network. */
  enum Chain {
    BRIDGE(0, "bridge + host-local"),
    RULES(1, "bridge (ipMasq) + portmap + firewall", PORTMAP, FIREWALL),
    POD(
        2,
        "bridge (ipMasq) + portmap + firewall + bandwidth + tuning",
        PORTMAP,
        FIREWALL,
        BANDWIDTH,
        TUNING);

    final int number;
    final String title;
    final String chained;

    Chain(int number, String title, String... chained) {
      this.number = number;
      this.title = title;
      this.chained = String.join("", chained);
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

  /** Returns the paths of the containers' namespaces. */
  List<Path> namespaces() {
    return containers.stream().map(NetNs::path).toList();
  }

  /** Returns the attachment of a container, with a published port if the network takes one. */
  Attachment attachment(Network network, int container) throws CniException {
    PortMapping port = PortMapping.tcp(FIRST_PORT + container, 80);
    CapabilityArgs args = CapabilityArgs.builder().portMapping(port).build();
    return TestHost.attachment(containers.get(container))
        .withCapabilityArgs(args.only(network.capabilities().names()));
  }

  String containerId(int container) {
    return TestHost.attachment(containers.get(container)).containerId();
  }

  /** Returns the capability arguments of a container as JSON. */
  String capabilityArgs(int container) {
    return "{ \"portMappings\": [{ \"hostPort\": %d, \"containerPort\": 80, \"protocol\": \"tcp\" }] }"
        .formatted(FIRST_PORT + container);
  }

  /** Creates a network with its own directory for configuration, results and reservations. */
  Network network(Implementation implementation, Chain chain) throws IOException, CniException {
    String name = implementation.label + "-" + chain.number;
    return network(implementation, name, configuration(name, implementation, chain));
  }

  /** Creates a network that only allocates addresses. */
  Network addresses(Implementation implementation) throws IOException, CniException {
    String name = implementation.label + "-ips";
    // GC requires 1.1.0, which the executables of Debian 12 do not support.
    String version = implementation == Implementation.MODULES ? "1.1.0" : "1.0.0";
    return network(
        implementation,
        name,
        """
        { "cniVersion": "%s", "name": "%s", "plugins": [
          { "type": "host-local",
            "ipam": { "type": "host-local", "subnet": "10.200.0.0/16", "dataDir": "%s" } } ] }
        """
            .formatted(version, name, directory().resolve(name).resolve("data")));
  }

  private Network network(Implementation implementation, String name, String configuration)
      throws IOException, CniException {
    Path networkDirectory = Files.createDirectories(directory().resolve(name));
    Files.writeString(networkDirectory.resolve(name + ".conflist"), configuration);
    CniBuilder builder =
        Cni.builder().networks(networkDirectory).cache(networkDirectory).executables(executables);
    if (implementation == Implementation.EXECUTABLES) {
      builder.forceExecutables(TYPES);
    }
    Cni host = builder.build();
    hosts.add(host);
    return host.network(name);
  }

  /** Returns the directory of the network's configuration and results. */
  Path directory(Network network) {
    return directory().resolve(network.name());
  }

  /** Returns the directory of the network's reservations. */
  Path reservationDirectory(Network network) {
    return directory(network).resolve("data").resolve(network.name());
  }

  private String configuration(String name, Implementation implementation, Chain chain) {
    int subnet = implementation.subnet + chain.number;
    return """
    { "cniVersion": "1.0.0", "name": "%s", "plugins": [
      { "type": "bridge", "bridge": "%s", "isDefaultGateway": true, "ipMasq": %s,
        "ipam": { "type": "host-local", "subnet": "10.%d.0.0/16", "dataDir": "%s" } }%s ] }
    """
        .formatted(
            name,
            name,
            chain != Chain.BRIDGE,
            subnet,
            directory().resolve(name).resolve("data"),
            chain.chained);
  }

  @Override
  public void close() throws IOException {
    hosts.forEach(Cni::close);
    bed.close();
  }
}
