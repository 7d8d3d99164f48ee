package cni.cli;

import java.util.List;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni dhcp daemon}. */
final class DhcpCommand extends Subcommand {
  private final PositionalParamSpec arguments =
      parameters(0, "daemon [OPTION]...")
          .hideParamSyntax(true)
          .description("The word daemon and its options.")
          .build();

  DhcpCommand() {
    super(
        "\"cni dhcp daemon\" keeps the leases of containers whose dhcp plugin is an executable:"
            + " it speaks the protocol of the reference's \"dhcp daemon\".",
        "\"cni dhcp daemon --help\" lists its options. Examples of a systemd unit and socket are in"
            + " examples/systemd.");
    spec().addPositional(arguments);
    // The daemon's options are its own.
    spec().parser().stopAtPositional(true).unmatchedOptionsArePositionalParams(true);
  }

  @Override
  public Integer call() {
    List<String> words = arguments.getValue();
    if (words.isEmpty() || !words.getFirst().equals("daemon")) {
      throw new ParameterException(spec().commandLine(), "Say \"daemon\".");
    }
    return DaemonRunner.run("dhcp", words.subList(1, words.size()));
  }
}
