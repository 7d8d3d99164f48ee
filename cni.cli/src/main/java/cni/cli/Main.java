package cni.cli;

import cni.api.SpecVersion;
import java.util.List;
import java.util.Objects;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The {@code cni} command: what is common to its subcommands. */
@Command(
    name = "cni",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    description =
        "Attaches network namespaces to networks by CNI plugins, modules and executables.",
    footerHeading = "%nExit status:%n",
    footer = {
      "  0  done",
      "  1  failed: the error is on standard error in words, and on standard output as the",
      "     specification's JSON unless that is a terminal",
      "  2  wrong usage",
      "",
      "Examples:",
      "  cni demo                             show it working; changes nothing",
      "  ip netns add blue && cni add mynet blue",
      "  cni run --network mynet -- ping -c1 10.1.0.1"
    },
    subcommands = {
      AddCommand.class,
      CheckCommand.class,
      DeleteCommand.class,
      CollectCommand.class,
      StatusCommand.class,
      RunCommand.class,
      ListCommand.class,
      ShowCommand.class,
      ValidateCommand.class,
      VersionCommand.class,
      PluginsCommand.class,
      InstallCommand.class,
      DhcpCommand.class,
      CompletionCommand.class,
      DemoCommand.class
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec;

  /** Made by {@link #main}. */
  @SuppressWarnings("NullAway.Init") // picocli sets the field
  private Main() {}

  /** Runs the command and ends the process with its exit status. */
  public static void main(String[] args) {
    int status = execute(args);
    System.out.flush();
    System.exit(status);
  }

  static int execute(String... args) {
    var line = new CommandLine(new Main());
    line.setExecutionExceptionHandler((e, command, parsed) -> Failures.report(e));
    // What follows the command to run belongs to it, options included.
    Objects.requireNonNull(line.getSubcommands().get("run")).setStopAtPositional(true);
    Objects.requireNonNull(line.getSubcommands().get("dhcp"))
        .setStopAtPositional(true)
        .setUnmatchedOptionsArePositionalParams(true);
    return line.execute(args);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Say what to do: one of the commands below.");
  }

  /** The version, from the module's descriptor. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      return List.of("cni " + Image.version(), "CNI specification " + SpecVersion.CURRENT)
          .toArray(String[]::new);
    }
  }
}
