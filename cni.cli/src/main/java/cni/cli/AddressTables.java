// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.AddressReport;
import cni.api.AttachmentId;
import cni.api.InetAddresses;
import cni.doctor.traffic.Quantity;
import java.io.PrintStream;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** The tables of {@code cni ipam show}: pools, blocks, nodes and holders. */
final class AddressTables {
  private static final String NONE = "-";
  private static final int STATE_COLUMN = 1;

  /** Larger numbers are shortened. */
  private static final BigInteger MAX_EXACT = BigInteger.valueOf(999_999);

  private static final BigInteger PERCENT = BigInteger.valueOf(100);

  private AddressTables() {}

  /**
   * Prints the tables that have rows, each behind an empty line; that of the pools is always there.
   *
   * @param now the time that ages refer to
   */
  static void print(AddressReport report, Instant now, PrintStream out) {
    print(pools(report), out);
    if (!report.blocks().isEmpty()) {
      print(blocks(report), out);
    }
    if (!report.nodes().isEmpty()) {
      print(nodes(report), out);
    }
    if (!report.holders().isEmpty()) {
      print(holders(report, now), out);
    }
  }

  private static void print(TextTable table, PrintStream out) {
    out.println();
    table.print(out);
  }

  private static TextTable pools(AddressReport report) {
    var table = new TextTable();
    table.alignRight(1, 4);
    table.row("POOL", "SIZE", "USED", "FREE", "FILL");
    for (AddressReport.Pool it : report.pools()) {
      table.row(
          it.ranges(),
          number(it.size()),
          number(it.used()),
          number(free(it.size(), it.used())),
          fill(it.size(), it.used()));
    }
    return table;
  }

  private static TextTable blocks(AddressReport report) {
    var table = new TextTable();
    table.alignRight(2, 5);
    table.row("BLOCK", "NODE", "SIZE", "USED", "FREE", "FILL");
    report.blocks().stream()
        .sorted(Comparator.comparing(AddressReport.Block::node))
        .forEach(
            it -> {
              BigInteger size = BigInteger.valueOf(it.size());
              BigInteger used = BigInteger.valueOf(it.used());
              table.row(
                  it.network().toString(),
                  Terminal.printable(it.node()),
                  number(size),
                  number(used),
                  number(free(size, used)),
                  fill(size, used));
            });
    return table;
  }

  private static TextTable nodes(AddressReport report) {
    var table = new TextTable();
    table.alignRight(2, 3);
    table.colours(STATE_COLUMN, AddressTables::style);
    table.row("NODE", "STATE", "BLOCKS", "ATTACHMENTS");
    for (AddressReport.Node it : report.nodes()) {
      long blocks = report.blocks().stream().filter(b -> b.node().equals(it.name())).count();
      long attachments =
          report.holders().stream()
              .filter(holder -> holder.node().equals(Optional.of(it.name())))
              .count();
      table.row(
          Terminal.printable(it.name()),
          text(it.liveness()),
          String.valueOf(blocks),
          String.valueOf(attachments));
    }
    return table;
  }

  private static TextTable holders(AddressReport report, Instant now) {
    boolean hasNames = report.holders().stream().anyMatch(it -> it.name().isPresent());
    boolean hasNodes = report.holders().stream().anyMatch(it -> it.node().isPresent());
    var table = new TextTable();
    List<String> heading = new ArrayList<>(List.of("CONTAINER", "INTERFACE", "ADDRESSES", "AGE"));
    addIf(hasNames, "NAME", heading);
    addIf(hasNodes, "NODE", heading);
    table.row(heading.toArray(String[]::new));
    for (AddressReport.Holder it : report.holders()) {
      List<String> cells = new ArrayList<>();
      cells.add(it.attachment().map(AttachmentId::containerId).orElse(NONE));
      cells.add(it.attachment().map(AttachmentId::interfaceName).orElse(NONE));
      cells.add(
          it.addresses().stream().map(InetAddresses::format).collect(Collectors.joining(" ")));
      cells.add(it.since().map(since -> Quantity.age(Duration.between(since, now))).orElse(NONE));
      addIf(hasNames, it.name().orElse(NONE), cells);
      addIf(hasNodes, it.node().orElse(NONE), cells);
      table.row(cells.stream().map(Terminal::printable).toArray(String[]::new));
    }
    return table;
  }

  private static void addIf(boolean condition, String cell, List<String> cells) {
    if (condition) {
      cells.add(cell);
    }
  }

  /** Returns a number of attachments in words. */
  static String attachments(int number) {
    return number == 1 ? "1 attachment" : number + " attachments";
  }

  /** Returns the word for a node's state. */
  static String text(AddressReport.Liveness liveness) {
    return liveness.name().toLowerCase(Locale.ROOT);
  }

  private static Optional<Terminal.Style> style(String state) {
    return switch (state) {
      case "alive" -> Optional.of(Terminal.Style.GOOD);
      case "lost" -> Optional.of(Terminal.Style.BAD);
      case "unknown" -> Optional.of(Terminal.Style.WARNING);
      default -> Optional.empty(); // heading
    };
  }

  /** Returns the number of free addresses; 0 if more are reserved than can be assigned. */
  static BigInteger free(BigInteger size, BigInteger used) {
    return size.subtract(used).max(BigInteger.ZERO);
  }

  /** Returns the part that is reserved, rounded down: only what is full is at 100 %. */
  private static String fill(BigInteger size, BigInteger used) {
    return used.multiply(PERCENT).divide(size.max(BigInteger.ONE)) + " %";
  }

  private static String number(BigInteger number) {
    return number.compareTo(MAX_EXACT) <= 0
        ? number.toString()
        : Quantity.decimal(number.doubleValue());
  }
}
