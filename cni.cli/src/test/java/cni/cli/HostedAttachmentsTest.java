// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Json;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Commands that this process runs for callers on other hosts, each with its own surroundings. */
@KernelTest
@Timeout(120)
class HostedAttachmentsTest {
  /** A caller in a host's namespace, whose working directory is that of the host's files. */
  private static final class Caller {
    private final TestHost host;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final Map<String, String> environment = new HashMap<>();
    private Function<CniBuilder, Cni> opener = builder -> builder.oneShot().build();

    Caller(TestHost host) {
      this.host = host;
      environment.put("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
      environment.put("NETCONFPATH", "net.d");
      environment.put("CNI_PATH", "bin");
      environment.put("CNI_MODULE_PATH", "modules");
    }

    Caller with(String variable, String value) {
      environment.put(variable, value);
      return this;
    }

    int run(String... arguments) {
      return HostedCommands.run(
          List.of(arguments),
          new Invocation(
              environment,
              host.directory(),
              new PrintStream(out, true, UTF_8),
              new PrintStream(err, true, UTF_8),
              Optional.of(host.netns().path()),
              opener));
    }

    /** Runs a command on a container, with the host's cache. */
    int run(String command, NetNs container) {
      return run(command, "--cache=cache", "n", container.path().toString());
    }

    String mark() {
      return environment.getOrDefault("MARK", "");
    }

    String err() {
      return err.toString(UTF_8);
    }
  }

  /** Configures a chain of a bridge and a script, which passes the result of the bridge on. */
  private static void network(TestHost host, String recorder) throws IOException {
    String versions = "'{ \"cniVersion\": \"1.0.0\", \"supportedVersions\": [\"1.0.0\"] }'";
    String answer = "[ $CNI_COMMAND != VERSION ] || { echo " + versions + "; exit; }\n";
    host.script("recorder", answer + recorder + "\nsed 's/.*\"prevResult\":\\(.*\\)}$/\\1/'");
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"recorder\" }");
  }

  private static List<Caller> callers(TestHost host, String name, int count, Cni shared)
      throws IOException {
    network(host, "echo $MARK $CNI_COMMAND $CNI_IFNAME $CNI_ARGS >&2");
    List<Caller> callers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Caller caller = new Caller(host);
      caller.with("MARK", name + i).with("CNI_IFNAME", name + i).with("CNI_ARGS", "K=" + name + i);
      caller.opener = builder -> builder.oneShot().sharePlugins(shared).build();
      callers.add(caller);
    }
    return callers;
  }

  @Test
  void concurrentCallersDoNotMix() throws Exception {
    try (var first = new TestHost();
        var second = new TestHost();
        Cni shared = Cni.builder().oneShot().build()) {
      List<Caller> callers = new ArrayList<>(callers(first, "x", 8, shared));
      callers.addAll(callers(second, "y", 8, shared));
      List<NetNs> containers = new ArrayList<>();
      for (int i = 0; i < callers.size(); i++) {
        containers.add(callers.get(i).host.container("c" + i));
      }
      runAll("add", callers, containers);
      for (TestHost host : List.of(first, second)) {
        assertEquals(8, host.results().size());
        assertEquals(16, host.reservations("n").size());
        assertEquals(8, TestBed.linkNames(host.netns(), "veth").size());
      }
      for (int i = 0; i < callers.size(); i++) {
        String mark = callers.get(i).mark();
        assertEquals(List.of(mark), TestBed.linkNames(containers.get(i), "veth"));
        assertEquals("recorder: %1$s ADD %1$s K=%1$s\n".formatted(mark), callers.get(i).err());
        String address = address(callers.get(i));
        assertTrue(address.startsWith("10.50.0."), address);
        assertTrue(
            TestBed.run(containers.get(i), "ip", "addr", "show", mark).contains(address), address);
      }
      runAll("check", callers, containers);
      runAll("del", callers, containers);
      first.assertNothingLeft("n", containers.subList(0, 8).toArray(NetNs[]::new));
      second.assertNothingLeft("n", containers.subList(8, 16).toArray(NetNs[]::new));
    }
  }

  private static String address(Caller caller) throws CniException {
    return Json.parse(caller.out.toString(UTF_8), "output")
        .path("ips")
        .path(0)
        .path("address")
        .asString();
  }

  private static void runAll(String command, List<Caller> callers, List<NetNs> containers)
      throws Exception {
    try (var threads = Executors.newFixedThreadPool(callers.size())) {
      List<Future<Integer>> statuses = new ArrayList<>();
      for (int i = 0; i < callers.size(); i++) {
        Caller caller = callers.get(i);
        NetNs container = containers.get(i);
        statuses.add(threads.submit(() -> caller.run(command, container)));
      }
      for (int i = 0; i < callers.size(); i++) {
        assertEquals(0, statuses.get(i).get(), callers.get(i)::err);
      }
    }
  }

  @Test
  void gcAndStatusSeeTheCallersHost() throws Exception {
    try (var host = new TestHost()) {
      network(host, "echo $MARK $CNI_COMMAND >&2");
      Caller caller = new Caller(host).with("MARK", "m");
      NetNs a = host.container("a");
      assertEquals(0, caller.run("add", a), caller::err);
      assertEquals(0, caller.run("gc", "--all", "--cache=cache", "n"), caller::err);
      host.assertNothingLeft("n", a);
      assertTrue(caller.err().contains("recorder: m DEL\n"), caller::err);
      assertEquals(0, caller.run("status", "--cache=cache", "n"), caller::err);
    }
  }

  @Test
  void anInterruptedAddIsRolledBack() throws Exception {
    try (var host = new TestHost()) {
      Path asleep = host.directory().resolve("asleep");
      network(
          host,
          "[ $CNI_COMMAND = ADD ] && touch "
              + asleep
              + " && exec sleep 100\necho $MARK undone >&2");
      Caller caller = new Caller(host).with("MARK", "m");
      NetNs a = host.container("a");
      try (var threads = Executors.newFixedThreadPool(1)) {
        Future<int[]> outcome =
            threads.submit(
                () ->
                    new int[] {
                      caller.run("add", a), Thread.currentThread().isInterrupted() ? 1 : 0
                    });
        while (!Files.exists(asleep)) {
          assertFalse(outcome.isDone(), caller::err);
          Thread.sleep(10);
        }
        threads.shutdownNow();
        assertEquals(1, outcome.get()[0]);
        assertEquals(0, outcome.get()[1], "the thread is still interrupted");
      }
      assertEquals(11, Json.parse(caller.out.toString(UTF_8), "output").path("code").asInt());
      assertTrue(caller.err().contains("recorder: m undone\n"), caller::err);
      assertTrue(caller.err().contains("(code 11)"), caller::err);
      host.assertNothingLeft("n", a);
    }
  }

  /** The names of namespaces are looked up as by a process, then in the caller's directory. */
  @Test
  void capabilityArgsAndNamespaceNamesAreThoseOfTheCaller() throws Exception {
    try (var host = new TestHost()) {
      host.script("recorder", "cat >&2; echo '{ \"cniVersion\": \"1.0.0\" }'");
      host.network("n", "1.0.0", "{ \"type\": \"recorder\", \"capabilities\": { \"mac\": true } }");
      NetNs a = host.container("a");
      Files.createSymbolicLink(host.directory().resolve("link"), a.path());
      Caller caller = new Caller(host).with("CAP_ARGS", "{\"mac\":\"m\"}");
      assertEquals(0, caller.run("add", "--cache=cache", "n", "link"), caller::err);
      assertTrue(caller.err().contains("\"runtimeConfig\":{\"mac\":\"m\"}"), caller::err);
      assertEquals(1, host.results().size());
      assertEquals(
          0, caller.run("del", "--cache=cache", "n", host.directory() + "/link"), caller::err);
      assertEquals(List.of(), host.results());
    }
  }

  /** What this process has in its environment is not the caller's. */
  @Test
  void executablesInheritFromTheCallerOnly() throws Exception {
    try (var host = new TestHost()) {
      network(host, "/bin/pwd > here; env | sort >&2");
      Caller caller = new Caller(host).with("CNI_ARGS", "");
      NetNs a = host.container("a");
      assertEquals(0, caller.run("add", a), caller::err);
      List<String> names = caller.err().lines().map(it -> it.replaceFirst("=.*", "")).toList();
      assertEquals(
          List.of(
              "recorder: CNI_ARGS",
              "CNI_COMMAND",
              "CNI_CONTAINERID",
              "CNI_IFNAME",
              "CNI_MODULE_PATH",
              "CNI_NETNS",
              "CNI_PATH",
              "NETCONFPATH",
              "PATH",
              "PWD"),
          names);
      String here = Files.readString(host.directory().resolve("here")).strip();
      assertEquals(host.directory().toRealPath(), Path.of(here));
    }
  }
}
