// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.ClientLog.Entry;
import cni.plugins.etcd.ClientLog.Operation;
import cni.plugins.etcd.ClientLog.Outcome;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;

/**
 * The hosts of a simulated cluster, the log of their calls, and what must hold after any load: no
 * state of the store was inconsistent, the results are linearizable, and after GC exactly the
 * containers have addresses whose ADD succeeded and for which no DEL was called.
 */
final class AllocationCampaign implements AutoCloseable {
  /** Short, so that resident hosts renew their leases during a test. */
  private static final Duration TTL = Duration.ofSeconds(12);

  private static final Set<String> LASTING = Set.of("schema", "nodes", "alive", "networks");

  private final List<String> endpoints;
  private final Path directory;
  private final ClientLog log;
  private final List<LoggedNode> nodes = new ArrayList<>();
  private final List<EtcdPlugin> residents = new ArrayList<>();

  /**
   * Creates a campaign without hosts.
   *
   * @param endpoints the client URLs of etcd
   * @param directory the directory of the hosts' states
   */
  AllocationCampaign(List<String> endpoints, Path directory, ClientLog log) {
    this.endpoints = List.copyOf(endpoints);
    this.directory = directory;
    this.log = log;
  }

  ClientLog log() {
    return log;
  }

  List<LoggedNode> nodes() {
    return List.copyOf(nodes);
  }

  /**
   * Adds hosts, of which every second one is resident.
   *
   * @param ipam the keys of the {@code ipam} section
   */
  AllocationCampaign withNodes(String prefix, int count, String ipam) {
    for (int i = 0; i < count; i++) {
      addNode(prefix + i, i % 2 == 0, ipam);
    }
    return this;
  }

  /** Adds a host. */
  LoggedNode addNode(String name, boolean isResident, String ipam) {
    EtcdPlugin plugin = new EtcdPlugin(TTL);
    Path state = directory.resolve(name);
    if (isResident) {
      plugin.start(new SimulatedHost(state.resolve("host")));
      residents.add(plugin);
    }
    var node = new LoggedNode(new TestNode(plugin, name, endpoints, state, ipam), log);
    nodes.add(node);
    return node;
  }

  /** Runs calls in threads of their own and waits for all; the first failure is thrown. */
  static void runAll(List<Callable<Void>> calls) throws Exception {
    try (ExecutorService threads =
        Executors.newThreadPerTaskExecutor(Thread.ofPlatform().name("client-", 0).factory())) {
      List<Future<Void>> running = calls.stream().map(threads::submit).toList();
      for (Future<Void> it : running) {
        it.get();
      }
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    }
  }

  /** Returns the live containers by the log: those with a successful ADD and no DEL after it. */
  static Map<String, List<String>> live(ClientLog log) {
    Map<String, List<String>> live = new TreeMap<>();
    Map<String, List<Entry>> byHandle =
        log.entries().stream().collect(Collectors.groupingBy(Entry::handle));
    byHandle.forEach(
        (handle, entries) -> {
          for (Entry it : entries) {
            if (it.operation() == Operation.DEL && it.outcome() != Outcome.FAILED) {
              live.remove(handle);
            } else if (it.operation() == Operation.ADD && it.succeeded()) {
              live.put(handle, it.addresses());
            }
          }
        });
    return live;
  }

  /** Returns the live containers of a node by the log. */
  private static Set<String> liveOn(Map<String, List<String>> live, String node) {
    String prefix = TestNode.NETWORK + "/" + node + "/";
    return live.keySet().stream()
        .filter(it -> it.startsWith(prefix))
        .map(it -> it.substring(prefix.length()).split("/", 2)[0])
        .collect(Collectors.toSet());
  }

  /** Runs GC on each node with the containers that are live by the log. */
  void collectAll() throws Exception {
    Map<String, List<String>> live = live(log);
    List<Callable<Void>> calls = new ArrayList<>();
    for (LoggedNode it : nodes) {
      LoggedNode plain = new LoggedNode(it.node().with(withLongTimeout(it.node().ipam())), log);
      calls.add(
          () -> {
            assertTrue(plain.gc(liveOn(live, plain.name())), plain.name());
            return null;
          });
    }
    runAll(calls);
  }

  private static String withLongTimeout(String ipam) {
    return ipam.replaceAll("\"gcGrace\":[0-9]+", "\"gcGrace\":0")
        .replaceAll("\"timeout\":[0-9]+", "\"timeout\":10");
  }

  /** Deletes all live containers, all at the same time. */
  void deleteAll() throws Exception {
    Map<String, List<String>> live = live(log);
    List<Callable<Void>> calls = new ArrayList<>();
    for (LoggedNode node : nodes) {
      for (String container : liveOn(live, node.name())) {
        calls.add(
            () -> {
              assertEquals(Outcome.SUCCESS, node.delete(container));
              return null;
            });
      }
    }
    runAll(calls);
  }

  /** Requires that the handles in etcd are those of the live containers. */
  void assertOnlyLiveHandles(EtcdCluster etcd) throws Exception {
    Map<String, List<String>> missing = live(log);
    Map<String, List<String>> leaked = handles(etcd);
    Map<String, List<String>> live = Map.copyOf(missing);
    missing.entrySet().removeAll(leaked.entrySet());
    leaked.entrySet().removeAll(live.entrySet());
    assertEquals(
        List.of(Map.of(), Map.of()),
        List.of(missing, leaked),
        () -> "freed, leaked; calls: " + calls(missing.keySet()) + calls(leaked.keySet()));
  }

  private List<Entry> calls(Set<String> handles) {
    return log.entries().stream().filter(it -> handles.contains(it.handle())).toList();
  }

  /** Returns the handles in etcd and their addresses, sorted as text. */
  static Map<String, List<String>> handles(EtcdCluster etcd) throws Exception {
    var state = new AllocationState(TestNode.PREFIX);
    Map<String, List<String>> handles = new TreeMap<>();
    String prefix = TestNode.PREFIX + "/handles/";
    List<String> lines = etcd.etcdctl("get", "--prefix", prefix).lines().toList();
    for (int i = 0; i < lines.size(); i += 2) {
      String handle = lines.get(i).substring(prefix.length());
      state.apply(new HistorySource.Event(lines.get(i), lines.get(i + 1)));
      handles.put(handle, state.handle(handle));
    }
    return handles;
  }

  /** Requires that the history of the store and the log have no violation. */
  void assertNoViolations(EtcdEvents events) throws Exception {
    assertEquals(List.of(), new AllocationHistory(TestNode.PREFIX, events).violations(log));
  }

  /** Requires that the store has no keys but those that do not concern addresses. */
  static void assertNoAddresses(EtcdCluster etcd) throws Exception {
    Set<String> left = new TreeSet<>();
    for (String key :
        etcd.etcdctl("get", "--prefix", TestNode.PREFIX, "--keys-only").lines().toList()) {
      if (!key.isEmpty()) {
        left.add(key.substring(TestNode.PREFIX.length() + 1).split("/", 2)[0]);
      }
    }
    Set<String> unexpected = new HashSet<>(left);
    unexpected.removeAll(LASTING);
    assertEquals(Set.of(), unexpected);
  }

  /** Returns how calls ended, for the output of a test. */
  String summary() {
    Map<String, Long> counts =
        log.entries().stream()
            .collect(
                Collectors.groupingBy(
                    it -> it.operation() + " " + it.outcome(),
                    TreeMap::new,
                    Collectors.counting()));
    return counts.toString();
  }

  /** Stops the resident hosts. */
  @Override
  public void close() {
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      residents.forEach(it -> threads.execute(it::stop));
    }
  }
}
