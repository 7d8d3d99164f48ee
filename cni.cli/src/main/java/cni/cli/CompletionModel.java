// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * What shells complete: the commands with their options and parameters, from picocli's model.
 *
 * @param commands all commands and subcommands; the first is {@code cni} itself
 */
record CompletionModel(List<Command> commands) {
  /** The options whose value is a network, whatever its label. */
  private static final List<String> NETWORK_OPTIONS = List.of("--network");

  /**
   * A command.
   *
   * @param path the words behind {@code cni}; the empty string for {@code cni} itself
   * @param description one sentence
   * @param subcommands the words that can follow
   * @param options the options
   * @param parameters the values of its parameters; the last may be repeated
   */
  record Command(
      String path,
      String description,
      List<String> subcommands,
      List<Option> options,
      List<Value> parameters) {}

  /**
   * An option.
   *
   * @param names with dashes
   * @param value absent for one without a value
   */
  record Option(List<String> names, String description, @Nullable Value value) {}

  /** The kinds of values, which the shells' scripts know how to list. */
  enum Kind {
    ANY,
    WORDS,
    NETWORKS,
    NAMESPACES,
    CONTAINERS,
    /** The host, a namespace or a container. */
    ENDS,
    PLUGINS,
    FILES,
    DIRECTORIES,
    COMMANDS;

    /** Returns the word for this kind in the scripts. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A value.
   *
   * @param words the words to choose from; empty unless the kind is {@link Kind#WORDS}
   */
  record Value(Kind kind, List<String> words) {}

  /** Reads the model of a command and all below it. */
  static CompletionModel of(CommandLine root) {
    List<Command> commands = new ArrayList<>();
    add(root, "", commands);
    return new CompletionModel(commands);
  }

  private static void add(CommandLine line, String path, List<Command> commands) {
    CommandSpec spec = line.getCommandSpec();
    String[] description = spec.usageMessage().description();
    commands.add(
        new Command(
            path,
            description.length == 0 ? "" : sentence(description[0]),
            List.copyOf(line.getSubcommands().keySet()),
            spec.options().stream().map(CompletionModel::option).toList(),
            spec.positionalParameters().stream().map(CompletionModel::parameter).toList()));
    line.getSubcommands()
        .forEach((name, sub) -> add(sub, path.isEmpty() ? name : path + " " + name, commands));
  }

  private static Option option(OptionSpec option) {
    String[] description = option.description();
    return new Option(
        List.of(option.names()),
        description.length == 0 ? "" : sentence(description[0]),
        option.arity().max() == 0 ? null : value(option, label(option)));
  }

  private static Value parameter(PositionalParamSpec parameter) {
    return value(parameter, parameter.paramLabel());
  }

  private static String label(OptionSpec option) {
    if (NETWORK_OPTIONS.contains(option.longestName())) {
      return "NETWORK";
    }
    return option.longestName().equals("--host-netns") ? "NETNS" : option.paramLabel();
  }

  private static Value value(ArgSpec argument, String label) {
    List<String> words = new ArrayList<>();
    @Nullable Iterable<String> candidates = argument.completionCandidates();
    if (candidates != null) {
      candidates.forEach(words::add);
    }
    return new Value(words.isEmpty() ? kind(label) : Kind.WORDS, words);
  }

  private static Kind kind(String label) {
    return switch (label) {
      case "NETWORK", "FILE|NETWORK" -> Kind.NETWORKS; // or a path, with a slash
      case "NETNS", "PID|NAME|PATH" -> Kind.NAMESPACES;
      case "SOURCE", "DESTINATION[:PORT]" -> Kind.ENDS;
      case "ID" -> Kind.CONTAINERS;
      case "TYPE", "TYPE|PATH" -> Kind.PLUGINS;
      case "FILE", "PATH" -> Kind.FILES;
      case "DIR", "DIRS", "DIRECTORY" -> Kind.DIRECTORIES;
      case "COMMAND" -> Kind.COMMANDS;
      default -> Kind.ANY;
    };
  }

  /** Returns the beginning of a description, up to the first detail. */
  private static String sentence(String description) {
    int end = description.length();
    for (String separator : List.of(". ", "; ", ": ")) {
      int at = description.indexOf(separator);
      end = at < 0 ? end : Math.min(end, at);
    }
    String text = description.substring(0, end);
    return text.endsWith(".") ? text.substring(0, text.length() - 1) : text;
  }
}
