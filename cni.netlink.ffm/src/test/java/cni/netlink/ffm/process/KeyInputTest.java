// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.JavaProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The mode of a terminal that script(1) makes for a process. */
@Timeout(120)
class KeyInputTest {
  /** Prints the flags of its terminal before, while and after it is switched, and its size. */
  static final class SwitchingProcess {
    private SwitchingProcess() {}

    public static void main(String[] args) throws Exception {
      stty("rows", "33", "cols", "101");
      System.out.println("before: " + flags());
      try (KeyInput _ = KeyInput.open().orElseThrow()) {
        System.out.println("while: " + flags());
      }
      System.out.println("after: " + flags());
      WindowSize size = WindowSize.of(1).orElseThrow();
      System.out.println("size: " + size.rows() + " " + size.columns());
    }

    private static String flags() throws Exception {
      return List.of(stty("-a").split("[;\\s]+", -1)).stream()
          .filter(it -> it.matches("-?(icanon|echo|isig)"))
          .sorted()
          .collect(Collectors.joining(" "));
    }

    private static String stty(String... arguments) throws Exception {
      var command = new ArrayList<>(List.of("stty"));
      command.addAll(List.of(arguments));
      Process stty =
          new ProcessBuilder(command).redirectInput(ProcessBuilder.Redirect.INHERIT).start();
      return new String(stty.getInputStream().readAllBytes(), UTF_8);
    }
  }

  @Test
  void modeIsSwitchedAndRestored() throws Exception {
    String command =
        JavaProcess.command(SwitchingProcess.class).stream()
            .map(it -> "'" + it + "'")
            .collect(Collectors.joining(" "));
    Process script =
        new ProcessBuilder("script", "-qec", command, "/dev/null")
            .redirectErrorStream(true)
            .start();
    String output = new String(script.getInputStream().readAllBytes(), UTF_8).replace("\r", "");
    assertEquals(0, script.waitFor(), output);
    assertTrue(output.contains("before: echo icanon isig\n"), output);
    assertTrue(output.contains("while: -echo -icanon isig\n"), output);
    assertTrue(output.contains("after: echo icanon isig\n"), output);
    assertTrue(output.contains("size: 33 101\n"), output);
  }
}
