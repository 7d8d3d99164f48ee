// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.IHelpSectionRenderer;
import picocli.CommandLine.Model.UsageMessageSpec;

/** The help of commands: the list of all, in groups, and its width and colours. */
final class CommandHelp {
  private static final int NAME_WIDTH = 15;
  private static final int INDENT = 2;

  /** The width below which picocli formats no help. */
  private static final int MIN_WIDTH = 55;

  /** Longer lines are hard to read. */
  private static final int MAX_WIDTH = 110;

  /** The commands of each group. Those that are in none follow under "Other". */
  private static final Map<String, List<String>> GROUPS = new LinkedHashMap<>();

  static {
    GROUPS.put("Start", List.of("init", "run", "demo"));
    GROUPS.put("Attach", List.of("add", "check", "del", "update", "repair", "gc", "status"));
    GROUPS.put("Observe", List.of("list", "show", "events", "top", "metrics", "doctor", "why"));
    GROUPS.put("Configure", List.of("validate", "policy", "ipam", "plugins", "version"));
    GROUPS.put("Install and serve", List.of("install", "serve", "dhcp", "completion"));
    GROUPS.put("Write plugins", List.of("new-plugin", "conformance"));
  }

  private CommandHelp() {}

  /**
   * Prepares help: lists commands in groups, fits the text to the terminal's width, and gives it
   * colours if the terminal shows them.
   */
  static void prepare(CommandLine root) {
    Map<String, IHelpSectionRenderer> sections = root.getCommandSpec().usageMessage().sectionMap();
    sections.put(UsageMessageSpec.SECTION_KEY_COMMAND_LIST_HEADING, _ -> "");
    sections.put(UsageMessageSpec.SECTION_KEY_COMMAND_LIST, CommandHelp::groupedCommands);
    Terminal.width(Terminal.Stream.OUTPUT)
        .ifPresent(width -> root.setUsageHelpWidth(Math.clamp(width, MIN_WIDTH, MAX_WIDTH)));
    boolean colours = Terminal.hasColours(Terminal.Stream.OUTPUT);
    root.setColorScheme(Help.defaultColorScheme(colours ? Help.Ansi.ON : Help.Ansi.OFF));
  }

  /** Renders the list of commands, for picocli. */
  private static String groupedCommands(Help help) {
    Map<String, Help> rest = new LinkedHashMap<>(help.subcommands());
    var text = new StringBuilder();
    GROUPS.forEach(
        (group, names) -> {
          List<String> present = names.stream().filter(rest::containsKey).toList();
          text.append(group(help, group, rest, present));
          present.forEach(rest::remove);
        });
    return text.append(group(help, "Other", rest, new ArrayList<>(rest.keySet()))).toString();
  }

  private static String group(
      Help help, String heading, Map<String, Help> commands, List<String> names) {
    if (names.isEmpty()) {
      return "";
    }
    int width = help.commandSpec().usageMessage().width();
    Help.TextTable table =
        Help.TextTable.forColumns(
            help.colorScheme(),
            new Help.Column(NAME_WIDTH, INDENT, Help.Column.Overflow.SPAN),
            new Help.Column(width - NAME_WIDTH, INDENT, Help.Column.Overflow.WRAP));
    for (String name : names) {
      table.addRowValues(
          help.colorScheme().commandText(name),
          help.colorScheme().text(firstParagraph(Objects.requireNonNull(commands.get(name)))));
    }
    return "%n%s:%n".formatted(heading) + table;
  }

  private static String firstParagraph(Help command) {
    String[] description = command.commandSpec().usageMessage().description();
    return description.length == 0 ? "" : description[0];
  }
}
