// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;

import cni.api.CallContext;
import cni.api.Cidr;
import cni.api.Deadline;
import cni.plugins.support.NetNsSession;
import cni.policy.Endpoint;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.policy.PolicyState;
import cni.testing.JavaProcess;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Threads of several processes change one host's attachments and policies at the same time. */
@KernelTest(commands = "nft")
class PolicyConcurrencyTest {
  private static final int PROCESSES = 4;
  private static final int THREADS = 2;
  private static final int ATTACHMENTS = 10;

  @Test
  void theResultIsThatOfTheChangesInAnyOrder(TestHost host) throws Exception {
    TestBed.run(host.netns(), "ip", "link", "add", "br0", "type", "bridge");
    try (var policies = new PolicyHost(host);
        NetNsSession session = policies.session()) {
      List<Process> processes = new ArrayList<>();
      for (int i = 0; i < PROCESSES; i++) {
        List<String> command =
            JavaProcess.command(
                PolicyConcurrencyTest.class,
                host.directory().toString(),
                host.netns().path().toString(),
                Integer.toString(i));
        processes.add(new ProcessBuilder(command).redirectErrorStream(true).start());
      }
      for (Process process : processes) {
        String printed =
            new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), printed);
      }
      var view = new HostPolicies(policies.directories(), session, Deadline.none());
      PolicyState state = view.state();
      assertEquals(
          expected(),
          new TreeSet<>(
              state.endpoints().values().stream().map(it -> it.id().containerId()).toList()));
      assertEquals(List.of(), view.difference());
      view.applyDirectory();
      assertEquals(PROCESSES * THREADS, view.state().policies().size());
      assertEquals(List.of(), view.difference());
      view.collect(_ -> true);
      assertEquals("", TestBed.run(host.netns(), "nft", "list", "ruleset"));
    }
  }

  /** Every second attachment stays. */
  private static Set<String> expected() {
    Set<String> ids = new TreeSet<>();
    for (int worker = 0; worker < PROCESSES * THREADS; worker++) {
      for (int i = 1; i < ATTACHMENTS; i += 2) {
        ids.add("w" + worker + "-" + i);
      }
    }
    return ids;
  }

  /** Runs the threads of one process. */
  public static void main(String[] args) throws Exception {
    List<Thread> threads = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      int worker = Integer.parseInt(args[2]) * THREADS + i;
      Thread thread = Thread.ofPlatform().unstarted(() -> work(args, worker));
      thread.setUncaughtExceptionHandler((_, e) -> failures.add(e));
      thread.start();
      threads.add(thread);
    }
    for (Thread thread : threads) {
      thread.join();
    }
    for (Throwable failure : failures) {
      throw new AssertionError(failure);
    }
  }

  private static void work(String[] args, int worker) {
    Path directory = Path.of(args[0]);
    var directories =
        new PolicyDirectories(directory.resolve("policy.d"), directory.resolve("policy"));
    CallContext context =
        new CallContext(
            Optional.of(Path.of(args[1])),
            Deadline.none(),
            type -> {
              throw new UnsupportedOperationException(type);
            });
    try (NetNsSession session = NetNsSession.openHost(context)) {
      var policies = new HostPolicies(directories, session, Deadline.none());
      Path file = directories.policies().resolve("w" + worker + ".json");
      Path written = directories.policies().resolve(".w" + worker);
      Files.writeString(written, policy(worker));
      Files.move(written, file);
      for (int i = 0; i < ATTACHMENTS; i++) {
        var _ = policies.attach(endpoint(worker, i, "app" + i % 3));
        if (i == worker) {
          policies.applyDirectory();
        }
        var _ = policies.attach(endpoint(worker, i, "app" + (i + worker) % 3));
        if (i % 2 == 0) {
          policies.detach(endpoint(worker, i, "").id());
        }
      }
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static String policy(int worker) {
    return """
        { "name": "w%d", "podSelector": { "matchLabels": { "app": "app%d" } },
          "policyTypes": ["Ingress", "Egress"],
          "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "app%d" } } } ],
                         "ports": [ { "port": %d } ] } ] }
        """
        .formatted(worker, worker % 3, (worker + 1) % 3, 1_000 + worker);
  }

  private static Endpoint endpoint(int worker, int number, String app) {
    return new Endpoint(
        new Endpoint.Id("n", "w" + worker + "-" + number, "eth0"),
        Map.of("app", app),
        Map.of(),
        List.of(
            Cidr.parse("10.50.%d.%d/16".formatted(worker, 2 + number)),
            Cidr.parse("fd50::%d:%d/64".formatted(worker, 2 + number))),
        "veth" + worker + "x" + number,
        Optional.of("br0"));
  }
}
