package cni.cli;

import cni.api.SpecVersion;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

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
