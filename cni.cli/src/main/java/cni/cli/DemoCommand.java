// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.api.Rollback;
import cni.netlink.ffm.netns.NamespaceOwnership;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.RouteSocket;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** {@code cni demo}: attaches two containers, end to end, in temporary namespaces. */
final class DemoCommand extends Subcommand {
  private static final String PREFIX = "cni-demo-";
  private static final int PING_MILLIS = 2000;
  private static final String SUBNET_V4 = "10.88.0.0/24";
  private static final String SUBNET_V6 = "fd00:88::/64";

  private final String suffix = "%08x".formatted(ThreadLocalRandom.current().nextInt());
  private final Rollback cleanup = new Rollback();

  DemoCommand() {
    super(
        "Attach two temporary containers to a bridge and ping.",
        "Attaches the containers, pings the gateway and between them over IPv4 and IPv6, checks and"
            + " deletes the attachments. Everything happens in temporary network namespaces, the host side"
            + " included. Needs root.");
  }

  @Override
  public Integer call() {
    return InterruptOnShutdown.run("cni-demo-cleanup", this::demonstrate);
  }

  private int demonstrate() throws CniException, IOException {
    for (String abandoned : NamespaceOwnership.abandoned(PREFIX)) {
      NetNs.delete(abandoned);
    }
    try {
      run();
    } catch (CniException | IOException | RuntimeException e) {
      cleanup.undoAfter(e);
      throw e;
    }
    IOException failure = cleanup.undoAfter(new IOException("cleaning up failed"));
    if (failure.getSuppressed().length > 0) {
      throw failure;
    }
    System.out.println("\nRemoved: namespaces, veths, bridge, reservations.");
    return 0;
  }

  private void run() throws CniException, IOException {
    Path directory = Files.createTempDirectory(PREFIX);
    cleanup.add(() -> DirectoryTree.delete(directory));
    Path journal = directory.resolve("journal.log");
    writeConfiguration(directory, journal);
    NetNs host = namespace("host");
    List<NetNs> containers = List.of(namespace("a"), namespace("b"));
    try (Cni cni =
        Cni.builder()
            .networks(directory.resolve("net.d"))
            .executables(directory.resolve("bin"))
            .cache(directory)
            .hostNamespace(host.path())
            .build()) {
      run(cni.network("demo"), cni, containers);
    }
    System.out.println("\nCalls recorded by the executable:");
    Files.readAllLines(journal).forEach(line -> System.out.println("  " + line));
    requireNothingLeft(host, directory);
    containers.forEach(NetNs::close);
    host.close();
  }

  private static void run(Network network, Cni cni, List<NetNs> containers)
      throws CniException, IOException {
    System.out.println("Network \"demo\": " + describeChain(network, cni) + "\n");
    Map<NetNs, Result> results = new LinkedHashMap<>();
    for (NetNs container : containers) {
      long start = System.nanoTime();
      Result result = network.add(attachment(container));
      print("ADD", container, start, addresses(result));
      results.put(container, result);
    }
    System.out.println();
    for (NetNs container : containers) {
      pingAll(container, results);
    }
    System.out.println();
    for (NetNs container : containers) {
      long start = System.nanoTime();
      network.check(attachment(container));
      print("CHECK", container, start, "unchanged");
    }
    for (NetNs container : containers) {
      long start = System.nanoTime();
      network.delete(attachment(container));
      print("DEL", container, start, "");
    }
  }

  /** Pings the container's gateways and the addresses of the other containers. */
  private static void pingAll(NetNs container, Map<NetNs, Result> results)
      throws CniException, IOException {
    for (Map.Entry<NetNs, Result> entry : results.entrySet()) {
      for (Result.IpConfig ip : entry.getValue().ips()) {
        if (entry.getKey() == container) {
          ping(container, "its gateway", ip.gateway().orElseThrow());
        } else {
          ping(container, name(entry.getKey()), ip.address().address());
        }
      }
    }
  }

  private static String describeChain(Network network, Cni cni) throws CniException {
    List<String> steps = new ArrayList<>();
    for (var plugin : network.config().plugins()) {
      steps.add(plugin.type() + origin(cni, plugin.type()));
      if (plugin.ipamType().isPresent()) {
        steps.add("  ipam " + plugin.ipamType().get() + origin(cni, plugin.ipamType().get()));
      }
    }
    return steps.stream().collect(Collectors.joining("\n  ", "\n  ", ""));
  }

  private static String origin(Cni cni, String type) throws CniException {
    return cni.plugins().list().stream()
        .filter(it -> it.type().equals(type))
        .findFirst()
        .map(it -> " (" + it.origin() + ")")
        .orElse("");
  }

  private static Attachment attachment(NetNs container) {
    return Attachment.of(name(container), container.path(), "eth0");
  }

  private static String addresses(Result result) {
    return result.ips().stream()
        .map(ip -> ip.address().toString())
        .collect(Collectors.joining("  "));
  }

  private static void print(String verb, NetNs container, long start, String outcome) {
    double millis = (System.nanoTime() - start) / 1e6;
    System.out.printf("%-6s%-20s%8.1f ms  %s%n", verb, name(container), millis, outcome);
  }

  private static void ping(NetNs from, String target, InetAddress address)
      throws CniException, IOException {
    // As root this sends an ICMP echo request from the namespace of the calling thread.
    boolean answered = from.<Boolean, IOException>call(() -> address.isReachable(PING_MILLIS));
    String line = "%-26s-> %-20s %s".formatted(name(from), target, InetAddresses.format(address));
    if (!answered) {
      throw new CniException(ErrorCode.INTERNAL, "no answer to a ping: " + line);
    }
    System.out.println(line + "  answers");
  }

  private NetNs namespace(String role) throws IOException {
    String name = PREFIX + role + "-" + suffix;
    NetNs netns = NamespaceOwnership.create(name);
    cleanup.add(
        () -> {
          netns.close();
          NetNs.delete(name);
        });
    return netns;
  }

  private static String name(NetNs netns) {
    return Objects.requireNonNull(netns.path().getFileName()).toString();
  }

  private static void writeConfiguration(Path directory, Path journal) throws IOException {
    Path networks = Files.createDirectory(directory.resolve("net.d"));
    Path executables = Files.createDirectory(directory.resolve("bin"));
    Files.writeString(
        networks.resolve("10-demo.conflist"),
        """
        {
          "cniVersion": "1.1.0",
          "name": "demo",
          "plugins": [
            {
              "type": "bridge",
              "bridge": "demo0",
              "isDefaultGateway": true,
              "ipam": {
                "type": "host-local",
                "dataDir": "%s",
                "ranges": [[{ "subnet": "%s" }], [{ "subnet": "%s" }]]
              }
            },
            { "type": "journal", "file": "%s" }
          ]
        }
        """
            .formatted(directory.resolve("networks"), SUBNET_V4, SUBNET_V6, journal));
    Path executable = executables.resolve("journal");
    try (InputStream script =
        Objects.requireNonNull(DemoCommand.class.getResourceAsStream("/plugins/journal"))) {
      Files.copy(script, executable);
    }
    Files.setPosixFilePermissions(executable, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private static void requireNothingLeft(NetNs host, Path directory)
      throws CniException, IOException {
    List<String> leftovers = new ArrayList<>();
    try (RouteSocket routing = RouteSocket.open(host)) {
      routing.links().stream()
          .filter(link -> link.isKind("veth"))
          .map(Link::name)
          .forEach(leftovers::add);
    }
    try (Stream<Path> files = Files.walk(directory)) {
      files
          .map(Path::toString)
          .filter(file -> file.matches(".*/(networks/demo/[0-9a-f.:]+|results/.*)"))
          .forEach(leftovers::add);
    }
    if (!leftovers.isEmpty()) {
      throw new CniException(ErrorCode.INTERNAL, "not removed: " + String.join(", ", leftovers));
    }
  }
}
