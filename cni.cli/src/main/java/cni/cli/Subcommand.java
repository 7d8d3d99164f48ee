// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.SpecVersion;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.TypeConversionException;

/**
 * A command of {@code cni}. Options and parameters are declared with picocli's programmatic model
 * instead of annotations: for each annotation type the JDK generates a class, and more for the
 * annotated fields, which takes a process 30 ms.
 */
abstract class Subcommand implements Callable<Integer> {
  private final CommandSpec spec = CommandSpec.wrapWithoutInspection(this);

  /**
   * Creates a command with the common options only.
   *
   * @param description the paragraphs of its help; the first is also its entry in {@code cni
   *     --help}
   */
  Subcommand(String... description) {
    describe(spec, description);
  }

  /** Sets a command's description and adds the common options. */
  static void describe(CommandSpec spec, String... description) {
    spec.usageMessage().description(description);
    spec.addOption(
        OptionSpec.builder("-h", "--help")
            .usageHelp(true)
            .description("Show this help message and exit.")
            .build());
    spec.addOption(
        OptionSpec.builder("-V", "--version")
            .versionHelp(true)
            .description("Print version information and exit.")
            .build());
    spec.version("cni " + Image.version(), "CNI specification " + SpecVersion.CURRENT);
  }

  /** Returns picocli's model of this command. */
  final CommandSpec spec() {
    return spec;
  }

  /** Creates an option without a value, false by default. */
  static OptionSpec flag(String name, String description) {
    return OptionSpec.builder(name)
        .type(boolean.class)
        .initialValue(false)
        .description(description)
        .build();
  }

  /** Starts an option that takes a path, which becomes absolute. */
  static OptionSpec.Builder pathOption(String name) {
    return OptionSpec.builder(name).type(Path.class).converters(Invocation::resolve);
  }

  /** Starts an option that takes a string and may be repeated. */
  static OptionSpec.Builder listOption(String... names) {
    return OptionSpec.builder(names)
        .type(List.class)
        .auxiliaryTypes(String.class)
        .initialValue(List.of());
  }

  /**
   * Starts an option whose value is one of a few words; any other value is an invalid command line.
   */
  static OptionSpec.Builder choiceOption(List<String> words, String... names) {
    return OptionSpec.builder(names)
        .type(String.class)
        .completionCandidates(words)
        .converters(text -> requireOneOf(words, text));
  }

  static String requireOneOf(List<String> words, String text) {
    for (String word : words) {
      if (word.equalsIgnoreCase(text)) {
        return word;
      }
    }
    throw new TypeConversionException(text + " is none of " + String.join(", ", words));
  }

  /** Starts an option whose value is a time such as 30s or 2m, a {@link Duration}. */
  static OptionSpec.Builder timeOption(String name) {
    return OptionSpec.builder(name)
        .type(Duration.class)
        .converters(Subcommand::parseTime)
        .paramLabel("TIME");
  }

  private static Duration parseTime(String text) {
    try {
      Duration time = Duration.parse("PT" + text);
      if (!time.isNegative()) {
        return time;
      }
    } catch (DateTimeParseException e) {
      // reported below
    }
    throw new TypeConversionException(text + " is not a time like 30s or 2m");
  }

  /** Starts a required positional parameter at an index. */
  static PositionalParamSpec.Builder requiredParameter(int index, String label) {
    return PositionalParamSpec.builder()
        .index(String.valueOf(index))
        .required(true)
        .type(String.class)
        .paramLabel(label);
  }

  /** Starts the list of all positional parameters. */
  static PositionalParamSpec.Builder parameters(int minimum, String label) {
    return PositionalParamSpec.builder()
        .index("0..*")
        .arity(minimum + "..*")
        .required(minimum > 0)
        .type(List.class)
        .auxiliaryTypes(String.class)
        .initialValue(List.of())
        .paramLabel(label);
  }
}
