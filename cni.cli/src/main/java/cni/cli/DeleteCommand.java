package cni.cli;

import cni.api.CniException;
import cni.runtime.Network;

/** {@code cni del}. */
final class DeleteCommand extends Subcommand {
  private final AttachmentOptions options = new AttachmentOptions(spec());

  DeleteCommand() {
    super("Detaches a namespace from a network; what is gone already is no error.");
  }

  @Override
  public Integer call() throws CniException {
    options.apply(Network::delete);
    return 0;
  }
}
