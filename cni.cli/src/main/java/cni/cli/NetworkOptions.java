package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** What says which network is meant. */
final class NetworkOptions {
  @Mixin private HostOptions host = new HostOptions();

  @Parameters(index = "0", paramLabel = "NETWORK", description = "The network's name.")
  private String network = "";

  /** What a command does with the network. */
  interface Action {
    void apply(Network network, Cni cni) throws CniException;
  }

  /** Does it. */
  void apply(Action action) throws CniException {
    try (Cni cni = host.open()) {
      action.apply(cni.network(network), cni);
    }
  }
}
