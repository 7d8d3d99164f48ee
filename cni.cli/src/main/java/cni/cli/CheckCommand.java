package cni.cli;

import cni.runtime.Network;

/** {@code cni check}. */
final class CheckCommand extends Subcommand {
  private final AttachmentOptions options = new AttachmentOptions(spec());

  CheckCommand() {
    super("Check that an attachment is as ADD made it.", "Prints nothing if it is.");
  }

  @Override
  public Integer call() {
    return options.apply(Network::check);
  }
}
