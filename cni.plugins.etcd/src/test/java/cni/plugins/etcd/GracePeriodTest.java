// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import cni.testing.JavaProcess;
import java.io.BufferedReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/**
 * GC keeps young handles and releases old ones, independently of the wall clock of the host. Needs
 * Debian's package faketime.
 */
@RequiresEtcd(commands = {"faketime", "unshare"})
class GracePeriodTest {
  private static final Duration GRACE = Duration.ofSeconds(6);
  private static final Duration SHORT_GRACE = Duration.ofSeconds(2);

  private static final String READY = "ready";

  @RegisterExtension private static final SharedEtcd etcd = SharedEtcd.of(1);

  @TempDir private Path directory;

  private TestNode node(List<String> endpoints) {
    return TestNode.of("a", endpoints, directory).with(ipam(GRACE));
  }

  private static String ipam(Duration grace) {
    return "\"gcGrace\":" + grace.toSeconds() + "," + TestNode.DUAL_STACK;
  }

  private static Set<String> containers() throws Exception {
    return AllocationCampaign.handles(etcd.cluster()).keySet().stream()
        .map(it -> it.split("/", -1)[2])
        .collect(Collectors.toSet());
  }

  @Test
  void youngHandlesAreLeftAndOldOnesReleased() throws Exception {
    TestNode node = node(etcd.endpoints());
    node.add("old");
    node.add("valid");
    Thread.sleep(GRACE);
    node.add("young");
    node.gc("valid");
    assertEquals(Set.of("valid", "young"), containers());
    node.with(ipam(Duration.ZERO)).gc("valid");
    assertEquals(Set.of("valid"), containers());
  }

  @Test
  void repeatedAddBeginsTheGracePeriodAgain() throws Exception {
    TestNode node = node(etcd.endpoints());
    List<String> addresses = node.add("c1");
    Thread.sleep(GRACE);
    assertEquals(addresses, node.add("c1"));
    node.gc();
    assertEquals(Set.of("c1"), containers());
  }

  @Test
  void gcThatWaitsForEtcdLeavesWhatWasAddedMeanwhile() throws Exception {
    try (var proxy = new ConnectionProxy(etcd.endpoints().getFirst());
        var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      TestNode waiting =
          node(List.of(proxy.endpoint())).with("\"timeout\":60," + ipam(SHORT_GRACE));
      TestNode node = node(etcd.endpoints());
      node.add("old");
      Thread.sleep(SHORT_GRACE);
      proxy.setStalled(true);
      Future<Object> gc =
          threads.submit(
              () -> {
                waiting.gc();
                return waiting;
              });
      Thread.sleep(Duration.ofMillis(500));
      node.add("new");
      Thread.sleep(Duration.ofSeconds(3));
      proxy.setStalled(false);
      gc.get();
      assertEquals(Set.of("new"), containers());
    }
  }

  /** Runs ADD, or GC without a valid container, in a process. */
  static final class Client {
    private Client() {}

    /**
     * Arguments: ADD and the container or GC and nothing, the endpoint, the directory. Prints that
     * it is ready, and calls the plugin after the next input.
     */
    public static void main(String[] args) throws Exception {
      TestNode node = TestNode.of("a", List.of(args[2]), Path.of(args[3])).with(ipam(GRACE));
      node.status(); // loads the classes
      System.out.println(READY);
      System.in.read();
      if (args[0].equals("ADD")) {
        node.add(args[1]);
      } else {
        node.gc();
      }
    }
  }

  private interface Step {
    void run() throws Exception;
  }

  private void run(List<String> prefix, String verb, String container) throws Exception {
    run(prefix, verb, container, () -> {});
  }

  /**
   * Calls the plugin in a process.
   *
   * @param before what is done directly before the call, while the process waits
   */
  private void run(List<String> prefix, String verb, String container, Step before)
      throws Exception {
    List<String> command = new ArrayList<>(prefix);
    command.addAll(
        JavaProcess.command(
            Client.class, verb, container, etcd.endpoints().getFirst(), directory.toString()));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Process process = builder.start();
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8);
        OutputStream input = process.getOutputStream()) {
      var output = new StringBuilder();
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        output.append(line).append('\n');
        if (line.equals(READY)) {
          before.run();
          input.write('\n');
          input.flush();
        }
      }
      assertEquals(0, process.waitFor(), output::toString);
    } finally {
      process.destroyForcibly();
    }
  }

  /** By wall clocks, each handle is two days older than it is. */
  @Test
  void wallClockThatJumpsChangesNoGracePeriod() throws Exception {
    TestNode node = node(etcd.endpoints());
    run(List.of("faketime", "-f", "-2d"), "ADD", "young");
    String handle = etcd.etcdctl("get", "/test/handles/n/a/young/eth0");
    assertFalse(handle.contains(LocalDate.now(ZoneOffset.UTC).toString()), handle);
    node.gc();
    assertEquals(Set.of("young"), containers());
    Thread.sleep(GRACE);
    run(List.of("faketime", "-f", "+2d"), "GC", "", () -> node.add("new"));
    assertEquals(Set.of("new"), containers());
  }

  /** A node whose processes all run in a time namespace, such as a container that is a node. */
  @Test
  void bootTimeOfATimeNamespaceIsUsed() throws Exception {
    List<String> prefix =
        List.of("unshare", "--time", "--boottime", "1000000", "--monotonic", "500000", "--fork");
    run(prefix, "ADD", "old");
    Thread.sleep(GRACE);
    run(prefix, "GC", "", () -> run(prefix, "ADD", "young"));
    assertEquals(Set.of("young"), containers());
  }
}
