// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.PrintWriter;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.IntSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

/** The {@code cni} command, which dispatches to the subcommands. */
public final class Main implements Callable<Integer> {
  /** The subcommand whose output depends on all others. */
  private static final String COMPLETION = "completion";

  /** Subcommands that change the kernel's state, for which {@link Warmup#kernel} pays off. */
  private static final Set<String> KERNEL_COMMANDS =
      Set.of("add", "check", "del", "update", "repair", "run");

  /** The subcommands that are daemons; their log has times and levels. */
  private static final Set<String> DAEMONS = Set.of("serve", "dhcp");

  /**
   * The system properties with the format of log records: of System.Logger in an image, which has
   * no java.logging, and of java.util.logging.SimpleFormatter.
   */
  private static final List<String> LOG_FORMATS =
      List.of("jdk.system.logger.format", "java.util.logging.SimpleFormatter.format");

  /** The subcommands, in the order of the help. */
  private static final Map<String, Supplier<Subcommand>> COMMANDS = commands();

  private final CommandSpec spec = CommandSpec.wrapWithoutInspection(this);

  private Main() {
    Subcommand.describe(spec, "Attach network namespaces to networks with CNI plugins.");
    spec.name("cni");
    spec.usageMessage()
        .synopsisSubcommandLabel("COMMAND")
        .footerHeading("%n\"cni help COMMAND\" describes a command.%n%nExit status:%n")
        .footer(
            "  0  success",
            "  1  failure: printed as text on standard error, and as the specification's",
            "     JSON on standard output unless that is a terminal",
            "  2  invalid command line",
            "  run, why, policy explain and policy diff have more: see their help",
            "",
            "Environment:",
            "  CNI_HOST_SOCKET  socket of the resident host (cni serve) that executes",
            "                   requests; none for none; default: /run/cni/cni.sock",
            "  NO_COLOR         no colours, if set; pipes and files never have any",
            "  COLUMNS          width of help and tables; default: that of the terminal",
            "",
            "Examples:",
            "  cni init mynet                       write a first network configuration",
            "  cni demo                             try it in temporary namespaces",
            "  ip netns add blue && cni add mynet blue",
            "  cni run --network mynet -- ping -c1 10.1.0.1");
  }

  /** Runs the command and ends the process with its exit status. */
  public static void main(String[] args) {
    if (args.length == 0 || !DAEMONS.contains(args[0])) {
      LOG_FORMATS.forEach(it -> System.setProperty(it, "cni: warning: %5$s%6$s%n"));
    }
    System.exit(run(args));
  }

  /** Runs the command and returns its exit status, also if it fails with an {@link Error}. */
  static int run(String... args) {
    return exitStatus(() -> execute(args));
  }

  /** Runs a command and returns its exit status, whatever it throws. */
  static int exitStatus(IntSupplier command) {
    int status;
    try {
      status = command.getAsInt();
    } catch (RuntimeException | Error e) { // an invalid path in a variable, out of memory
      status = ErrorReporter.report(e);
    }
    return StandardOutput.check(status);
  }

  /** Returns the model of all commands, for manual pages. */
  public static CommandSpec spec() {
    return spec(_ -> true);
  }

  private static CommandSpec spec(Predicate<String> commands) {
    CommandSpec spec = new Main().spec;
    COMMANDS.forEach(
        (name, command) -> {
          if (commands.test(name)) {
            CommandSpec subcommand = command.get().spec();
            HostedCommands.describe(name, subcommand);
            spec.addSubcommand(name, subcommand);
          }
        });
    return spec;
  }

  static int execute(String... given) {
    String[] args = withoutHelpCommand(given);
    Optional<Invocation> invocation = Invocation.current();
    if (invocation.isEmpty() && args.length > 0 && KERNEL_COMMANDS.contains(args[0])) {
      Warmup.kernel();
    }
    // Creating a command takes time, so only the requested one is created if it is known.
    boolean single =
        args.length > 0 && COMMANDS.containsKey(args[0]) && !args[0].equals(COMPLETION);
    CommandLine commandLine =
        new CommandLine(spec(name -> !single || name.equals(args[0])))
            .setExecutionExceptionHandler((e, command, parsed) -> ErrorReporter.report(e))
            .setParameterExceptionHandler((e, parsed) -> UsageErrors.report(e));
    invocation.ifPresent(it -> redirect(commandLine, it));
    return execute(commandLine, args);
  }

  /** Executes the command that the first arguments name; an unknown name is an error. */
  private static int execute(CommandLine root, String... args) {
    CommandLine command = root;
    for (String word : args) {
      boolean isName = !word.startsWith("-") && !word.startsWith("@");
      if (command.getSubcommands().isEmpty() || !isName) {
        break;
      }
      @Nullable CommandLine next = command.getSubcommands().get(word);
      if (next == null) {
        return UsageErrors.unknownCommand(command, word);
      }
      command = next;
    }
    for (String argument : args) {
      if (argument.equals("--help") || argument.equals("-h")) {
        CommandHelp.prepare(root);
      }
    }
    return root.execute(args);
  }

  /** Converts "help COMMAND" to "COMMAND --help". */
  private static String[] withoutHelpCommand(String... args) {
    if (args.length == 0 || !args[0].equals("help")) {
      return args;
    }
    String[] converted = Arrays.copyOfRange(args, 1, args.length + 1);
    converted[args.length - 1] = "--help";
    return converted;
  }

  /** Makes picocli print to the caller, without the colours of this process's terminal. */
  private static void redirect(CommandLine commandLine, Invocation invocation) {
    commandLine
        .setOut(new PrintWriter(invocation.out(), true, UTF_8))
        .setErr(new PrintWriter(invocation.err(), true, UTF_8))
        .setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
  }

  private static Map<String, Supplier<Subcommand>> commands() {
    Map<String, Supplier<Subcommand>> commands = new LinkedHashMap<>();
    commands.put("add", AddCommand::new);
    commands.put("check", CheckCommand::new);
    commands.put("del", DeleteCommand::new);
    commands.put("update", UpdateCommand::new);
    commands.put("repair", RepairCommand::new);
    commands.put("gc", GcCommand::new);
    commands.put("status", StatusCommand::new);
    commands.put("why", WhyCommand::new);
    commands.put("policy", PolicyCommand::new);
    commands.put("ipam", IpamCommand::new);
    commands.put("init", InitCommand::new);
    commands.put("run", RunCommand::new);
    commands.put("events", EventsCommand::new);
    commands.put("list", ListCommand::new);
    commands.put("top", TopCommand::new);
    commands.put("show", ShowCommand::new);
    commands.put("doctor", DoctorCommand::new);
    commands.put("validate", ValidateCommand::new);
    commands.put("version", VersionCommand::new);
    commands.put("plugins", PluginsCommand::new);
    commands.put("new-plugin", NewPluginCommand::new);
    commands.put("conformance", ConformanceCommand::new);
    commands.put("install", InstallCommand::new);
    commands.put("dhcp", DhcpCommand::new);
    commands.put("serve", ServeCommand::new);
    commands.put("metrics", MetricsCommand::new);
    commands.put(COMPLETION, CompletionCommand::new);
    commands.put("demo", DemoCommand::new);
    return commands;
  }

  @Override
  public Integer call() {
    return UsageErrors.missingCommand(spec.commandLine());
  }
}
