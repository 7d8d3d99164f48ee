package cni.cli;

import cni.api.CniException;

/** {@code cni status}. */
final class StatusCommand extends Subcommand {
  private final NetworkOptions options = new NetworkOptions(spec());

  StatusCommand() {
    super("Check that a network is ready for ADD.", "Prints nothing if it is.");
    NetworkOptions.addUnusedNamespace(spec());
  }

  @Override
  public Integer call() throws CniException {
    options.apply((network, cni) -> network.status());
    return 0;
  }
}
