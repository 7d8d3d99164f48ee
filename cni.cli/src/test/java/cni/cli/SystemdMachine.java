// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import cni.testing.TestBed;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * systemd as process 1 of namespaces of its own, in the network namespace of a test bed. It has no
 * units but those that a test adds. The script systemd.sh of the resources describes its files.
 */
final class SystemdMachine implements AutoCloseable {
  private static final Path SCRIPT =
      Path.of("src/test/resources/cni/cli/systemd.sh").toAbsolutePath();
  private static final Duration START_TIME = Duration.ofSeconds(30);
  private static final int MAX_OUTPUT_BYTES = 1 << 20;

  /** Where scripts run, and the paths of the documentation begin. */
  private static final Path PROJECT =
      Objects.requireNonNull(Path.of("").toAbsolutePath().getParent());

  /**
   * Functions for scripts: {@code call VERB CONTAINER} makes a runtime's call of the installed
   * bridge plugin with CONFIG, and {@code version} that of VERSION.
   */
  private static final String FUNCTIONS =
      """
      set -eu
      cd "$PROJECT"
      cni=/opt/cni/image/bin/cni
      call() {
        printf %s "$CONFIG" | CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 \\
          CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge
      }
      version() {
        CNI_COMMAND=VERSION /opt/cni/bin/bridge </dev/null | grep -q supportedVersions
      }
      main_pid() { systemctl show -p MainPID --value cni.service; }
      signal() { systemctl kill --kill-who=main -s "$1" cni.service; }
      restarts() { systemctl show -p NRestarts --value cni.service; }
      failed() { systemctl --failed --quiet | wc -l; }
      state() { systemctl show -p ActiveState --value "$1"; }
      await() {
        attempts=0
        until eval "$1"; do
          attempts=$((attempts + 1))
          [ $attempts -lt 300 ] || { echo "not within 30 s: $1"; systemctl status cni; exit 1; }
          sleep 0.1
        done
      }
      """;

  private final TestBed bed;
  private final String group;
  private final ChildProcess process;

  /** Boots systemd and waits until it has started all that it is to start. */
  SystemdMachine(TestBed bed) throws Exception {
    this.bed = bed;
    group = bed.prefix() + "systemd";
    process =
        start(
            Map.of(), "unshare", "-m", "sh", SCRIPT.toString(), bed.directory().toString(), group);
    try {
      awaitStart();
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  private void awaitStart() throws Exception {
    long end = System.nanoTime() + START_TIME.toNanos();
    while (!isRunning()) {
      boolean ended = process.communicate(Duration.ofMillis(50));
      // Without a terminal it does not log why.
      assertTrue(!ended, "systemd has ended; is fs.inotify.max_user_instances used up?");
      assertTrue(System.nanoTime() < end, () -> "systemd does not start" + log());
    }
  }

  private ChildProcess start(Map<String, String> variables, String... command) throws IOException {
    ChildEnvironment environment =
        ChildEnvironment.empty()
            .with(Map.of("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "PROJECT", PROJECT.toString()))
            .with(variables);
    return bed.netns()
        .<ChildProcess, KernelException>call(
            () -> ChildProcess.start(List.of(command), environment, new byte[0], MAX_OUTPUT_BYTES));
  }

  private boolean isRunning() throws Exception {
    if (Files.notExists(bed.directory().resolve("pid"))) {
      return false;
    }
    try (ChildProcess state = enter(Map.of(), "systemctl is-system-running")) {
      return state.communicate(START_TIME) && state.output().equals("running\n");
    }
  }

  /** Starts a shell script in the machine; FUNCTIONS are defined. */
  ChildProcess enter(Map<String, String> variables, String script) throws IOException {
    List<String> command = new ArrayList<>(List.of("nsenter", "-t", read("pid").strip()));
    command.addAll(List.of("-m", "-u", "-i", "-p", "-C", "sh", "-c", FUNCTIONS + script));
    return start(variables, command.toArray(String[]::new));
  }

  /** Runs a shell script in the machine and returns what it printed on standard output. */
  String run(Map<String, String> variables, String script) throws Exception {
    try (ChildProcess shell = enter(variables, script)) {
      boolean ended = shell.communicate(ImageRunner.TIMEOUT);
      String text = shell.output() + shell.errorOutput();
      assertTrue(ended, () -> script + " does not end: " + text + log());
      assertEquals(0, shell.exitStatus().orElse(-1), () -> script + "\n" + text + log());
      return shell.output();
    }
  }

  /** Returns what systemd and the services have logged. */
  String log() {
    return "\nsystemd: "
        + process.errorOutput()
        + read("pid1.log")
        + "\nservices: "
        + read("journal");
  }

  /** Returns the content of a file that the script describes. */
  String read(String file) {
    try {
      return Files.readString(bed.directory().resolve(file));
    } catch (IOException e) {
      return "no " + file;
    }
  }

  /** Ends all processes of the machine and removes its control group. */
  @Override
  public void close() throws IOException {
    process.close();
    TestBed.run(
        bed.netns(),
        "unshare",
        "-m",
        "sh",
        SCRIPT.toString(),
        "--remove",
        bed.directory().toString(),
        group);
  }
}
