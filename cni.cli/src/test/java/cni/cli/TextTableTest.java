// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/** The widths of columns, with and without a terminal. */
class TextTableTest {
  private static String print(OptionalInt width) {
    var table = new TextTable();
    table.row("NETWORK", "CONTAINER", "STATE");
    table.row("mynet", "0123456789abcdef0123456789abcdef", "ok");
    var out = new ByteArrayOutputStream();
    table.print(new PrintStream(out, true, UTF_8), width, false);
    return out.toString(UTF_8);
  }

  @Test
  void alignsColumnsAndCutsNothingWithoutATerminal() {
    assertEquals(
        """
        NETWORK  CONTAINER                         STATE
        mynet    0123456789abcdef0123456789abcdef  ok
        """,
        print(OptionalInt.empty()));
    assertEquals(print(OptionalInt.empty()), print(OptionalInt.of(48)));
  }

  @Test
  void shortensTheWidestColumnToTheWidthOfTheTerminal() {
    assertEquals(
        """
        NETWORK  CONTAINER                STATE
        mynet    0123456789abcdef012345…  ok
        """,
        print(OptionalInt.of(39)));
  }

  @Test
  void keepsTwelveColumnsOfEach() {
    assertEquals(
        """
        NETWORK  CONTAINER     STATE
        mynet    0123456789a…  ok
        """,
        print(OptionalInt.of(10)));
  }

  @Test
  void colouredCellsStayAligned() {
    var table = new TextTable();
    table.row("ok", "x");
    table.row("gone", "y");
    table.colours(
        0, text -> text.equals("ok") ? Optional.of(Terminal.Style.GOOD) : Optional.empty());
    var out = new ByteArrayOutputStream();
    table.print(new PrintStream(out, true, UTF_8), OptionalInt.empty(), true);
    assertEquals("\u001b[32mok\u001b[0m    x\ngone  y\n", out.toString(UTF_8));
  }
}
