package cni.cli;

import cni.runtime.Network;

/** {@code cni del}. */
final class DeleteCommand extends Subcommand {
  private final AttachmentOptions options = new AttachmentOptions(spec());

  DeleteCommand() {
    super(
        "Detach a network namespace from a network.",
        "Succeeds if the namespace or its interface no longer exists.");
  }

  @Override
  public Integer call() {
    return options.apply(Network::delete);
  }
}
