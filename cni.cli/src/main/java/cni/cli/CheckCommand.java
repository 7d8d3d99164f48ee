package cni.cli;

import cni.api.CniException;
import cni.runtime.Network;

/** {@code cni check}. */
final class CheckCommand extends Subcommand {
  private final AttachmentOptions options = new AttachmentOptions(spec());

  CheckCommand() {
    super("Checks that an attachment is still as it was made; silent if it is.");
  }

  @Override
  public Integer call() throws CniException {
    options.apply(Network::check);
    return 0;
  }
}
