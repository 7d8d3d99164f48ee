// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.ResidentPlugin;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Measures the etcd plugin beside host-local, and a transaction of etcd by its own benchmark tool,
 * in one run: {@code bench/cluster}.
 */
public final class ClusterComparison {
  private static final int SAMPLES = 1000;
  private static final int WARM_UP = 300;
  private static final int NODES = 128;
  private static final int CALLS_PER_NODE = 16;

  private final String endpoints;
  private final Path directory;

  private ClusterComparison(String endpoints, Path directory) {
    this.endpoints = endpoints;
    this.directory = directory;
  }

  /**
   * Runs the comparison and prints the table.
   *
   * @param arguments the client URLs of etcd, separated by commas; a directory for state; the path
   *     of etcd's benchmark tool, if there is one
   */
  public static void main(String... arguments) throws Exception {
    var comparison = new ClusterComparison(arguments[0], Path.of(arguments[1]));
    System.out.printf("%-40s %9s %9s %9s%n", "", "p50 ms", "p99 ms", "per s");
    comparison.measureHostLocal();
    comparison.measureNode();
    comparison.measureCluster();
    if (arguments.length > 2) {
      comparison.measureTransactions(arguments[2], 1, SAMPLES);
      comparison.measureTransactions(arguments[2], NODES, NODES * CALLS_PER_NODE * 2);
    }
  }

  private void measureHostLocal() throws Exception {
    NetworkPlugin plugin = plugin("host-local");
    String keys = "\"dataDir\":\"%s\"".formatted(directory.resolve("networks"));
    measure("host-local, ADD", plugin, config("host-local", keys), true);
  }

  private void measureNode() throws Exception {
    PluginConfig config = etcdConfig("single");
    var resident = (ResidentPlugin) plugin("etcd");
    resident.start(new Host(directory.resolve("state")));
    measure("etcd, resident host, ADD", resident, config, true);
    measure("etcd, resident host, DEL", resident, config, false);
    resident.stop();
    measure("etcd, without resident host, ADD", plugin("etcd"), config, true);
    measure("etcd, without resident host, DEL", plugin("etcd"), config, false);
  }

  /** Measures ADDs (or the DELs after them) one after the other. */
  private static void measure(String name, NetworkPlugin plugin, PluginConfig config, boolean isAdd)
      throws Exception {
    Timings.measure(WARM_UP, i -> addAndDelete(plugin, config, "warm" + i));
    long[] nanos = new long[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
      AttachmentRequest request = request(config, "c" + i);
      long start = System.nanoTime();
      plugin.add(request);
      long added = System.nanoTime();
      if (!isAdd || i > 50) { // some addresses stay, as on a host with containers
        plugin.delete(request);
      }
      nanos[i] = isAdd ? added - start : System.nanoTime() - added;
    }
    for (int i = 0; i < SAMPLES; i++) {
      plugin.delete(request(config, "c" + i));
    }
    print(name, Timings.of(nanos), Optional.empty());
  }

  private static void addAndDelete(NetworkPlugin plugin, PluginConfig config, String container)
      throws CniException {
    plugin.add(request(config, container));
    plugin.delete(request(config, container));
  }

  /** Measures the ADDs of many nodes at once. */
  private void measureCluster() throws Exception {
    List<ResidentPlugin> plugins = new ArrayList<>();
    List<PluginConfig> configs = new ArrayList<>();
    for (int i = 0; i < NODES; i++) {
      configs.add(etcdConfig("node" + i));
      var plugin = (ResidentPlugin) plugin("etcd");
      plugin.start(new Host(directory.resolve("state" + i)));
      plugin.add(request(configs.get(i), "first"));
      plugin.add(request(configs.get(i), "second"));
      plugins.add(plugin);
    }
    long start = System.nanoTime();
    List<Future<Long>> calls = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int call = 0; call < CALLS_PER_NODE; call++) {
        for (int i = 0; i < NODES; i++) {
          ResidentPlugin plugin = plugins.get(i);
          AttachmentRequest request = request(configs.get(i), "call" + call);
          calls.add(
              threads.submit(
                  () -> {
                    long began = System.nanoTime();
                    plugin.add(request);
                    return System.nanoTime() - began;
                  }));
        }
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    long[] nanos = new long[calls.size()];
    for (int i = 0; i < nanos.length; i++) {
      nanos[i] = calls.get(i).get();
    }
    print(
        "etcd, %d nodes x %d ADDs at once".formatted(NODES, CALLS_PER_NODE),
        Timings.of(nanos),
        Optional.of(nanos.length / seconds));
    plugins.forEach(ResidentPlugin::stop);
  }

  /** Runs etcd's tool: a transaction that writes one key. */
  private void measureTransactions(String tool, int clients, int total) throws Exception {
    Process process =
        new ProcessBuilder(
                tool,
                "--endpoints=" + endpoints.replace("http://", ""),
                "--clients=" + clients,
                "--conns=" + Math.min(clients, 16),
                "txn-put",
                "--total=" + total,
                "--val-size=200",
                "--key-space-size=10000")
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException(output);
    }
    System.out.printf("etcd's benchmark txn-put, %d clients:%n", clients);
    output
        .lines()
        .filter(it -> it.contains("Requests/sec") || it.contains("50% in") || it.contains("99% in"))
        .forEach(System.out::println);
  }

  private static void print(String name, Timings timings, Optional<Double> rate) {
    System.out.printf(
        "%-40s %9.2f %9.2f %9.0f%n",
        name,
        timings.medianMillis(),
        timings.quantileMillis(0.99),
        rate.orElse(1000 / timings.medianMillis()));
  }

  private static NetworkPlugin plugin(String type) {
    return ServiceLoader.load(NetworkPlugin.class).stream()
        .map(ServiceLoader.Provider::get)
        .filter(it -> it.type().equals(type))
        .findFirst()
        .orElseThrow();
  }

  private PluginConfig etcdConfig(String node) throws Exception {
    String keys =
        "\"endpoints\":[\"%s\"],\"node\":\"%s\",\"dataDir\":\"%s\""
            .formatted(
                endpoints.replace(",", "\",\""),
                node,
                Files.createDirectories(directory.resolve(node)));
    return config("etcd", keys);
  }

  private static PluginConfig config(String type, String keys) throws CniException {
    String text =
        """
        {"cniVersion": "1.1.0", "name": "bench", "type": "bridge", "ipam": {"type": "%s", %s,
         "ranges": [[{"subnet": "10.128.0.0/12"}], [{"subnet": "fd00:1::/64"}]]}}
        """
            .formatted(type, keys);
    return PluginConfig.of(new ConfigObject(Json.parse(text, "the configuration"), ""));
  }

  private static AttachmentRequest request(PluginConfig config, String container) {
    var context =
        new CallContext(
            Optional.empty(),
            Deadline.none(),
            type -> {
              throw new CniException(ErrorCode.INTERNAL, type);
            });
    var attachment =
        new Attachment(new AttachmentId(container, "eth0"), Optional.empty(), Map.of(), Map.of());
    return new AttachmentRequest(config, attachment, Optional.empty(), context);
  }

  /** A host without attachments. */
  private record Host(Path stateDirectory) implements PluginHost {
    @Override
    public Optional<Path> hostNamespace() {
      return Optional.empty();
    }

    @Override
    public void publish(PluginEvent event) {}

    @Override
    public List<ActiveAttachment> attachments() {
      return List.of();
    }
  }
}
