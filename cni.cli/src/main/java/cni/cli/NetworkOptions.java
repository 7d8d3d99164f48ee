package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** The argument that selects a network, and the host options. */
final class NetworkOptions {
  private final HostOptions hostOptions;
  private final PositionalParamSpec network =
      Subcommand.requiredParameter(0, "NETWORK").description("Network name.").build();

  /** Adds the options to a command. */
  NetworkOptions(CommandSpec command) {
    hostOptions = new HostOptions(command);
    command.addPositional(network);
  }

  /** Accepts the NETNS argument that cnitool requires for gc and status, and ignores it. */
  static void addUnusedNamespace(CommandSpec command) {
    command.addPositional(
        Subcommand.requiredParameter(1, "NETNS")
            .arity("0..1")
            .required(false)
            .description("Ignored; accepted for compatibility with cnitool.")
            .build());
  }

  /** The work of a command on the selected network. */
  interface Action {
    void apply(Network network, Cni cni) throws CniException;
  }

  /** Opens the host and runs the action on the selected network. */
  void apply(Action action) throws CniException {
    try (Cni cni = hostOptions.open()) {
      action.apply(hostOptions.network(cni, network.getValue()), cni);
    } catch (CniException e) {
      throw hostOptions.withFile(e, network.getValue());
    }
  }
}
