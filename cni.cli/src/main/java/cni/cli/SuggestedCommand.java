// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/**
 * Makes the commands of {@code cni} in a remedy refer to the host that the running command refers
 * to: with the locations that its command line names, as absolute paths.
 *
 * @param locations the options, each with its value
 */
record SuggestedCommand(List<String> locations) {
  private static final List<String> OPTIONS = List.of("--networks", "--cache", "--host-netns");

  private static final Pattern COMMAND =
      Pattern.compile("\\bcni (add|check|del|gc|list|repair|update|validate)\\b");

  private static final Pattern UNQUOTED = Pattern.compile("[\\w@%+=:,./-]+");

  /** Copies the list. */
  SuggestedCommand {
    locations = List.copyOf(locations);
  }

  /** Returns the locations that the command line of a command names. */
  static SuggestedCommand of(CommandSpec spec) {
    ParseResult parsed = spec.commandLine().getParseResult();
    List<String> given = new ArrayList<>();
    for (String name : OPTIONS) {
      if (parsed.hasMatchedOption(name)) {
        OptionSpec option = parsed.matchedOption(name);
        Object value = option.getValue();
        Path path = value instanceof Path it ? it : NamespacePaths.resolve(String.valueOf(value));
        given.add(name + " " + quote(Invocation.resolve(path.toString()).toString()));
      }
    }
    return new SuggestedCommand(given);
  }

  private static String quote(String text) {
    return UNQUOTED.matcher(text).matches() ? text : "'" + text.replace("'", "'\\''") + "'";
  }

  /** Returns a remedy whose commands have the locations. */
  String complete(String remedy) {
    if (locations.isEmpty()) {
      return remedy;
    }
    String options = Matcher.quoteReplacement(String.join(" ", locations));
    return COMMAND.matcher(remedy).replaceAll("$0 " + options);
  }
}
