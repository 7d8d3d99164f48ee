package cni.cli;

import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code cni dhcp daemon}. */
@Command(
    name = "dhcp",
    mixinStandardHelpOptions = true,
    description = {
      "\"cni dhcp daemon\" keeps the leases of containers whose dhcp plugin is an executable:"
          + " it speaks the protocol of the reference's \"dhcp daemon\".",
      "\"cni dhcp daemon --help\" lists its options. Examples of a systemd unit and socket are in"
          + " examples/systemd."
    })
final class DhcpCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      arity = "0..*",
      paramLabel = "daemon [OPTION]...",
      hideParamSyntax = true,
      description = "The word daemon and its options.")
  private List<String> words = List.of();

  /** Made by picocli. */
  @SuppressWarnings("NullAway.Init") // picocli sets the field
  DhcpCommand() {}

  @Override
  public Integer call() {
    if (words.isEmpty() || !words.getFirst().equals("daemon")) {
      throw new ParameterException(spec.commandLine(), "Say \"daemon\".");
    }
    return DaemonRun.run("dhcp", words.subList(1, words.size()));
  }
}
