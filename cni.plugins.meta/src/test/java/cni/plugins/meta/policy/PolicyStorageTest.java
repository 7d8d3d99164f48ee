// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.Deadline;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.JavaProcess;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * An ADD whose data directory cannot be written fails with the reason and changes nothing, and the
 * next one succeeds once the directory can be written.
 */
@KernelTest(commands = "nft")
class PolicyStorageTest {
  private static final String SCRIPT =
      """
      mount -t tmpfs -o size=64k,mode=0700 cni-test "$1" && shift && exec "$@"
      """;

  @ParameterizedTest
  @CsvSource({"full, No space left on device", "read-only, Read-only file system"})
  void nothingIsHalfDone(String problem, String reason, TestHost host) throws Exception {
    try (var policies = new PolicyHost(host)) {
      policies.network("n", TestHost.DUAL_STACK.formatted(""));
      Path data = Files.createDirectories(policies.directories().data());
      List<String> command =
          new ArrayList<>(List.of("unshare", "--mount", "sh", "-c", SCRIPT, "sh", data.toString()));
      command.addAll(
          JavaProcess.command(
              PolicyStorageTest.class,
              problem,
              host.directory().toString(),
              host.netns().path().toString(),
              host.container("db").path().toString(),
              host.container("other").path().toString()));
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, process.waitFor(), printed);
      assertTrue(printed.contains("5 network n, ADD by policy: the data directory"), printed);
      assertTrue(printed.contains(reason) && printed.contains("dataDir"), printed);
    }
  }

  /** Runs where the data directory is a file system of its own. */
  public static void main(String[] args) throws Exception {
    Path directory = Path.of(args[1]);
    Path data = directory.resolve("policy");
    var directories = new PolicyDirectories(directory.resolve("policy.d"), data);
    Files.writeString(
        directories.policies().resolve("db.json"),
        """
        { "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
          "policyTypes": ["Ingress"] }
        """);
    Path hostPath = Path.of(args[2]);
    try (NetNs host = NetNs.open(hostPath);
        NetNs db = NetNs.open(Path.of(args[3]));
        NetNs other = NetNs.open(Path.of(args[4]));
        NetNsSession session = session(hostPath);
        Cni cni =
            Cni.builder()
                .networks(directory.resolve("net.d"))
                .executables(directory.resolve("bin"))
                .cache(directory.resolve("cache"))
                .hostNamespace(hostPath)
                .build()) {
      var policies = new HostPolicies(directories, session, Deadline.none());
      Network network = cni.network("n");
      network.add(PolicyHost.labelled(db, "app=db"));
      List<String> before = state(host, data);
      makeUnusable(args[0], data);
      Attachment attachment = PolicyHost.labelled(other, "app=db,role=new");
      require(fails(() -> network.add(attachment)), "ADD succeeds");
      require(fails(network::status), "STATUS succeeds");
      require(before.equals(state(host, data)), before + " has become " + state(host, data));
      makeUsable(args[0], data);
      network.add(attachment);
      network.status();
      require(policies.difference().isEmpty(), "differences: " + policies.difference());
      require(!Probe.ping(other, "10.50.0.2"), "the container is open");
      network.delete(attachment);
    }
  }

  private static NetNsSession session(Path host) throws CniException {
    return NetNsSession.openHost(
        new CallContext(
            Optional.of(host),
            Deadline.none(),
            type -> {
              throw new UnsupportedOperationException(type);
            }));
  }

  private interface Operation {
    void run() throws CniException;
  }

  private static boolean fails(Operation operation) {
    try {
      operation.run();
      return false;
    } catch (CniException e) {
      System.out.println(e.code() + " " + e.getMessage());
      return true;
    }
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new AssertionError(otherwise);
    }
  }

  private static void makeUnusable(String problem, Path data) throws Exception {
    if (problem.equals("full")) {
      try (var out = Files.newOutputStream(data.resolve("filler"))) {
        for (int i = 0; i < 1_000; i++) {
          out.write(new byte[4096]);
        }
      } catch (IOException e) {
        return; // full
      }
      throw new AssertionError("never full");
    }
    remount("ro", data);
  }

  private static void makeUsable(String problem, Path data) throws Exception {
    if (problem.equals("full")) {
      Files.delete(data.resolve("filler"));
    } else {
      remount("rw", data);
    }
  }

  private static void remount(String mode, Path data) throws Exception {
    Process mount = new ProcessBuilder("mount", "-o", "remount," + mode, data.toString()).start();
    require(mount.waitFor() == 0, "cannot be mounted " + mode);
  }

  /** Returns the rules and the attachments. */
  private static List<String> state(NetNs host, Path data) throws IOException {
    List<String> lines = new ArrayList<>();
    TestBed.run(host, "nft", "list", "ruleset")
        .lines()
        .map(it -> it.replaceAll("counter packets \\d+ bytes \\d+", "counter"))
        .forEach(lines::add);
    try (Stream<Path> files = Files.list(data.resolve("endpoints"))) {
      files.forEach(it -> lines.add(it.getFileName().toString()));
    }
    lines.sort(null);
    return lines;
  }
}
