package cni.cli;

import cni.api.CniException;

/** {@code cni status}. */
final class StatusCommand extends Subcommand {
  private final NetworkOptions options = new NetworkOptions(spec());

  StatusCommand() {
    super("Asks a network whether it could serve an ADD now; silent if it could.");
    NetworkOptions.addUnusedNamespace(spec());
  }

  @Override
  public Integer call() throws CniException {
    options.apply((network, cni) -> network.status());
    return 0;
  }
}
