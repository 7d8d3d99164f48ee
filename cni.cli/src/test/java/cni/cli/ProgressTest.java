// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class ProgressTest {
  private static final String CLEAR = "\r\u001b[K";

  @Test
  void rewritesOneLineAndRemovesIt() {
    var bytes = new ByteArrayOutputStream();
    var output = new PrintStream(bytes, true, UTF_8);
    try (var progress = new Progress(Optional.of(output), OptionalInt.of(10))) {
      progress.show("1 of 2");
      progress.show("2 of 2, which is too long");
    }
    assertEquals(CLEAR + "1 of 2" + CLEAR + "2 of 2, w" + CLEAR, bytes.toString(UTF_8));
  }

  @Test
  void printsNothingWithoutATerminal() {
    PrintStream original = System.err;
    var bytes = new ByteArrayOutputStream();
    System.setErr(new PrintStream(bytes, true, UTF_8));
    try (var progress = new Progress(Optional.empty(), OptionalInt.empty())) {
      progress.show("1 of 2");
    } finally {
      System.setErr(original);
    }
    assertEquals("", bytes.toString(UTF_8));
  }
}
