package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** What says which network is meant. */
final class NetworkOptions {
  private final HostOptions hostOptions;
  private final PositionalParamSpec network =
      Subcommand.requiredParameter(0, "NETWORK").description("The network's name.").build();

  /** Options of a command. */
  NetworkOptions(CommandSpec command) {
    hostOptions = new HostOptions(command);
    command.addPositional(network);
  }

  /** Has the command take the namespace, too, that cnitool wants even where it is of no use. */
  static void addUnusedNamespace(CommandSpec command) {
    command.addPositional(
        Subcommand.requiredParameter(1, "NETNS")
            .arity("0..1")
            .required(false)
            .description("Not used: here because cnitool wants one.")
            .build());
  }

  /** What a command does with the network. */
  interface Action {
    void apply(Network network, Cni cni) throws CniException;
  }

  /** Does it. */
  void apply(Action action) throws CniException {
    try (Cni cni = hostOptions.open()) {
      action.apply(cni.network(network.<String>getValue()), cni);
    }
  }
}
