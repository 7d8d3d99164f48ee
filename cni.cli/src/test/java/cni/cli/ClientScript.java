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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A script of the resources in which another program runs containers with the image's plugins, in
 * mount, process and network namespaces of its own.
 */
record ClientScript(TestBed bed, String name) {
  private static final Path SCRIPTS = Path.of("src/test/resources/cni/cli").toAbsolutePath();
  private static final int MAX_OUTPUT_BYTES = 1 << 20;

  /** Runs the script to its end and returns what it printed. */
  String run(Map<String, String> variables, String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of("unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "sh"));
    command.add(SCRIPTS.resolve(name).toString());
    command.add(ImageRunner.IMAGE.toString());
    command.add(bed.directory().toString());
    command.addAll(List.of(arguments));
    ChildEnvironment environment = ChildEnvironment.inherited().with(variables);
    try (ChildProcess process =
        bed.netns()
            .<ChildProcess, KernelException>call(
                () -> ChildProcess.start(command, environment, new byte[0], MAX_OUTPUT_BYTES))) {
      boolean ended = process.communicate(ImageRunner.TIMEOUT);
      String text = process.output() + process.errorOutput();
      assertTrue(ended, () -> command + " does not end: " + text);
      assertEquals(0, process.exitStatus().orElse(-1), () -> text + hostLog());
      return text;
    }
  }

  private String hostLog() {
    try {
      Path log = bed.directory().resolve("host.log");
      return Files.exists(log) ? "\nthe host's log: " + Files.readString(log) : "";
    } catch (IOException e) {
      return "\nthe host's log cannot be read: " + e;
    }
  }
}
