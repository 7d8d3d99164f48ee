package cni.cli;

import cni.api.SpecVersion;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
    })
public final class Main implements Runnable {
  /** Which tells the shell of all others. */
  private static final String COMPLETION = "completion";

  /** In the order in which the help names them. */
  private static final Map<String, Class<?>> COMMANDS = commands();

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
    // Each takes some milliseconds to be set up, and who says which one wants no other.
    boolean one = args.length > 0 && COMMANDS.containsKey(args[0]) && !args[0].equals(COMPLETION);
    COMMANDS.forEach(
        (name, type) -> {
          if (!one || name.equals(args[0])) {
            line.addSubcommand(name, type);
          }
        });
    line.setExecutionExceptionHandler((e, command, parsed) -> Failures.report(e));
    // What follows the command to run belongs to it, options included.
    CommandLine run = line.getSubcommands().get("run");
    if (run != null) {
      run.setStopAtPositional(true);
    }
    CommandLine dhcp = line.getSubcommands().get("dhcp");
    if (dhcp != null) {
      dhcp.setStopAtPositional(true).setUnmatchedOptionsArePositionalParams(true);
    }
    return line.execute(args);
  }

  private static Map<String, Class<?>> commands() {
    Map<String, Class<?>> commands = new LinkedHashMap<>();
    commands.put("add", AddCommand.class);
    commands.put("check", CheckCommand.class);
    commands.put("del", DeleteCommand.class);
    commands.put("gc", CollectCommand.class);
    commands.put("status", StatusCommand.class);
    commands.put("run", RunCommand.class);
    commands.put("events", EventsCommand.class);
    commands.put("list", ListCommand.class);
    commands.put("show", ShowCommand.class);
    commands.put("validate", ValidateCommand.class);
    commands.put("version", VersionCommand.class);
    commands.put("plugins", PluginsCommand.class);
    commands.put("new-plugin", NewPluginCommand.class);
    commands.put("conformance", ConformanceCommand.class);
    commands.put("install", InstallCommand.class);
    commands.put("dhcp", DhcpCommand.class);
    commands.put(COMPLETION, CompletionCommand.class);
    commands.put("demo", DemoCommand.class);
    return commands;
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
