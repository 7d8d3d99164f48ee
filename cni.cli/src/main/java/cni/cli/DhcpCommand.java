// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import java.util.List;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni dhcp daemon}. */
final class DhcpCommand extends Subcommand {
  private final PositionalParamSpec arguments =
      parameters(0, "daemon [OPTION]...")
          .hideParamSyntax(true)
          .description("The word daemon, followed by the daemon's options.")
          .build();

  DhcpCommand() {
    super(
        "Run the DHCP daemon for dhcp executables.",
        "The daemon keeps the leases of containers whose dhcp plugin runs as an executable, and speaks the"
            + " protocol of the reference plugin's \"dhcp daemon\". \"cni dhcp daemon --help\" lists its"
            + " options; examples/systemd has a systemd unit and socket.");
    spec().addPositional(arguments);
    // Options after "daemon" belong to the daemon.
    spec().parser().stopAtPositional(true).unmatchedOptionsArePositionalParams(true);
  }

  @Override
  public Integer call() {
    List<String> words = arguments.getValue();
    if (words.isEmpty() || !words.getFirst().equals("daemon")) {
      throw new ParameterException(
          spec().commandLine(), "Missing word \"daemon\": the command is \"cni dhcp daemon\"");
    }
    return DaemonRunner.run("dhcp", words.subList(1, words.size()));
  }
}
