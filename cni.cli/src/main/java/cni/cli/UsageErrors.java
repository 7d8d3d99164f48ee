// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Json;
import cni.api.internal.Suggestions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Invalid command lines. Prints two lines: what is wrong, with what would be right, and where the
 * help is.
 */
final class UsageErrors {
  static final int EXIT_USAGE = 2;

  /** Sample values for examples, by the label of an option or parameter. */
  private static final Map<String, String> SAMPLES =
      Map.ofEntries(
          Map.entry("NETWORK", "mynet"),
          Map.entry("NETNS", "blue"),
          Map.entry("COMMAND", "-- ip address"),
          Map.entry("FILE", "/etc/cni/net.d/10-mynet.conflist"),
          Map.entry("TYPE", "bridge"),
          Map.entry("TYPE|PATH", "bridge"),
          Map.entry("NAME", "my-name"),
          Map.entry("SOURCE", "blue"),
          Map.entry("DESTINATION[:PORT]", "web:8080"),
          Map.entry("DIR", "/opt/cni/bin"),
          Map.entry("DIRECTORY", "/var/lib/cni/networks/mynet"),
          Map.entry("NODE", "node-1"),
          Map.entry("DIRS", "/opt/cni/bin"),
          Map.entry("TIME", "30s"),
          Map.entry("SECONDS", "30"),
          Map.entry("ID", "container-1"));

  private static final Pattern INVALID_VALUE =
      Pattern.compile(
          "Invalid value for option '(?<option>[^']*)'[^:]*: (?<why>.*)", Pattern.DOTALL);

  private UsageErrors() {}

  /** Prints an error that picocli or a command found; returns the exit status. */
  static int report(ParameterException error) {
    CommandLine command = error.getCommandLine();
    return print(command, describe(error, command.getCommandSpec()));
  }

  /** Prints that a word is not the name of a command; returns the exit status. */
  static int unknownCommand(CommandLine parent, String word) {
    Optional<String> suggestion =
        Suggestions.didYouMean(word, parent.getSubcommands().keySet(), Json::quote);
    return print(
        parent,
        "there is no command " + Json.quote(word) + suggestion.map(it -> "; " + it).orElse(""));
  }

  /** Prints the help of a command that needs a subcommand; returns the exit status. */
  static int missingCommand(CommandLine command) {
    CommandHelp.prepare(command.getCommandSpec().root().commandLine());
    command.getErr().println("cni: missing command");
    command.usage(command.getErr());
    return EXIT_USAGE;
  }

  private static int print(CommandLine command, String message) {
    command.getErr().println("cni: " + message);
    command.getErr().println("See \"" + name(command.getCommandSpec()) + " --help\".");
    return EXIT_USAGE;
  }

  private static String describe(ParameterException error, CommandSpec command) {
    return switch (error) {
      case UnmatchedArgumentException e -> unmatched(e.getUnmatched().getFirst(), command);
      case MissingParameterException e when !e.getMissing().isEmpty() ->
          missing(e.getMissing(), command);
      default -> ownWords(String.valueOf(error.getMessage()).strip());
    };
  }

  /** Words messages of picocli as this command's own. */
  private static String ownWords(String message) {
    var invalid = INVALID_VALUE.matcher(message);
    return invalid.matches()
        ? invalid.group("option") + ": " + invalid.group("why").replace("an int", "a whole number")
        : lowerFirst(message);
  }

  private static String unmatched(String argument, CommandSpec command) {
    if (argument.startsWith("-") && argument.length() > 1) {
      String option = argument.split("=", 2)[0];
      List<String> known = command.options().stream().flatMap(it -> Stream.of(it.names())).toList();
      return "%s has no option %s%s"
          .formatted(
              name(command),
              option,
              Suggestions.didYouMean(option, known).map(it -> "; " + it).orElse(""));
    }
    return "unexpected argument %s; %s takes %s"
        .formatted(Json.quote(argument), name(command), parameters(command));
  }

  private static String parameters(CommandSpec command) {
    List<PositionalParamSpec> parameters = command.positionalParameters();
    return parameters.isEmpty()
        ? "no arguments, only options"
        : parameters.stream()
            .map(it -> it.required() ? it.paramLabel() : "[" + it.paramLabel() + "]")
            .collect(Collectors.joining(" "));
  }

  private static String missing(List<ArgSpec> missing, CommandSpec command) {
    if (missing.getFirst() instanceof OptionSpec option && !option.required()) {
      String sample = sample(option);
      return "option %s needs a value, %s%s"
          .formatted(
              option.longestName(),
              option.paramLabel(),
              sample.isEmpty() ? "" : ", such as " + option.longestName() + " " + sample);
    }
    return "missing "
        + Stream.concat(missing.stream(), behind(missing.getLast(), command))
            .map(UsageErrors::label)
            .collect(Collectors.joining(" and "))
        + ", as in \""
        + example(command)
        + "\"";
  }

  /** Returns the required parameters behind a missing one, which picocli does not report. */
  private static Stream<ArgSpec> behind(ArgSpec missing, CommandSpec command) {
    List<PositionalParamSpec> all = command.positionalParameters();
    int index = missing instanceof PositionalParamSpec it ? all.indexOf(it) : all.size();
    return all.stream().skip(index + 1L).filter(ArgSpec::required).map(it -> it);
  }

  private static String sample(OptionSpec option) {
    Iterable<String> words = option.completionCandidates();
    return words != null && words.iterator().hasNext()
        ? words.iterator().next()
        : SAMPLES.getOrDefault(option.paramLabel(), "");
  }

  private static String label(ArgSpec argument) {
    return argument instanceof OptionSpec option
        ? option.longestName() + " " + option.paramLabel()
        : argument.paramLabel();
  }

  /** Returns a valid command line with what the command requires. */
  private static String example(CommandSpec command) {
    List<String> words = new ArrayList<>(List.of(name(command)));
    for (OptionSpec option : command.options()) {
      if (option.required()) {
        words.add(option.longestName());
        words.add(SAMPLES.getOrDefault(option.paramLabel(), option.paramLabel()));
      }
    }
    for (PositionalParamSpec parameter : command.positionalParameters()) {
      if (parameter.required()) {
        words.add(SAMPLES.getOrDefault(parameter.paramLabel(), parameter.paramLabel()));
      }
    }
    return String.join(" ", words);
  }

  private static String name(CommandSpec command) {
    return command.qualifiedName(" ");
  }

  /** Makes the first letter of picocli's messages small, as in this command's own messages. */
  private static String lowerFirst(String message) {
    boolean isWord = message.length() > 1 && Character.isLowerCase(message.charAt(1));
    return isWord
        ? message.substring(0, 1).toLowerCase(Locale.ROOT) + message.substring(1)
        : message;
  }
}
