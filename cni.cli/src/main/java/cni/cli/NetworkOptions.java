// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** The argument that selects a network, and the host options. */
final class NetworkOptions {
  private final HostOptions hostOptions;
  private final PositionalParamSpec network;

  /** Adds the options to a command that needs a network. */
  NetworkOptions(CommandSpec command) {
    this(command, 0);
  }

  /** Adds the options to a command that needs a network behind other parameters. */
  NetworkOptions(CommandSpec command, int index) {
    this(command, Subcommand.requiredParameter(index, "NETWORK").description("Network name."));
  }

  /** Adds the options to a command that acts on all networks unless one is named. */
  static NetworkOptions ofAll(CommandSpec command) {
    return new NetworkOptions(
        command,
        Subcommand.requiredParameter(0, "NETWORK")
            .arity("0..1")
            .required(false)
            .description("Network name; default: all networks."));
  }

  private NetworkOptions(CommandSpec command, PositionalParamSpec.Builder parameter) {
    hostOptions = new HostOptions(command);
    network = parameter.build();
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

  /** Returns whether a network is named. */
  boolean nameNetwork() {
    return network.<@Nullable String>getValue() != null;
  }

  /** Opens the host and runs the action on the selected network, or on all. */
  void apply(Action action) throws CniException {
    try (Cni cni = hostOptions.open()) {
      if (!nameNetwork()) {
        applyToAll(action, cni);
        return;
      }
      action.apply(hostOptions.network(cni, network.getValue()), cni);
    } catch (CniException e) {
      throw nameNetwork() ? hostOptions.explained(e, network.getValue()) : e;
    }
  }

  /** Runs the action on every network; one that fails does not stop the others. */
  private void applyToAll(Action action, Cni cni) throws CniException {
    List<CniException> failures = new ArrayList<>();
    for (Network it : hostOptions.networks(cni)) {
      try {
        action.apply(it, cni);
      } catch (CniException e) {
        failures.add(e.withContext("network " + it.name()));
      }
    }
    if (!failures.isEmpty()) {
      CniException first = failures.removeFirst();
      failures.forEach(first::addSuppressed);
      throw first;
    }
  }
}
