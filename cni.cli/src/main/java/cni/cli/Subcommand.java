package cni.cli;

import cni.api.SpecVersion;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/**
 * A command of {@code cni}. What its line may contain is said by picocli's model and not by
 * annotations: the JDK spins a class for each kind of annotation, and more for the fields that have
 * them, which takes a process 30 ms.
 */
abstract class Subcommand implements Callable<Integer> {
  private final CommandSpec spec = CommandSpec.wrapWithoutInspection(this);

  /**
   * Makes a command that has no options but those that all have.
   *
   * @param description of what it does, for its help
   */
  Subcommand(String... description) {
    describe(spec, description);
  }

  /** Gives a command its description, and the options that all have. */
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

  /** What picocli knows of it. */
  final CommandSpec spec() {
    return spec;
  }

  /** An option that is there or not. */
  static OptionSpec flag(String name, String description) {
    return OptionSpec.builder(name)
        .type(boolean.class)
        .initialValue(false)
        .description(description)
        .build();
  }

  /** An option that may be given several times, each time with a word. */
  static OptionSpec.Builder listOption(String... names) {
    return OptionSpec.builder(names)
        .type(List.class)
        .auxiliaryTypes(String.class)
        .initialValue(List.of());
  }

  /** A word at a place among those that are no options; there has to be one. */
  static PositionalParamSpec.Builder requiredParameter(int index, String label) {
    return PositionalParamSpec.builder()
        .index(String.valueOf(index))
        .required(true)
        .type(String.class)
        .paramLabel(label);
  }

  /** All words that are no options: that many at least. */
  static PositionalParamSpec.Builder parameters(int least, String label) {
    return PositionalParamSpec.builder()
        .index("0..*")
        .arity(least + "..*")
        .required(least > 0)
        .type(List.class)
        .auxiliaryTypes(String.class)
        .initialValue(List.of())
        .paramLabel(label);
  }
}
