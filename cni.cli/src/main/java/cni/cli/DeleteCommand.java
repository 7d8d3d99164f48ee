package cni.cli;

import cni.runtime.Network;

/** {@code cni del}. */
final class DeleteCommand extends Subcommand {
  private final AttachmentOptions options = AttachmentOptions.ofStored(spec());

  DeleteCommand() {
    super(
        "Detach a network namespace from a network.",
        "Succeeds if the namespace or its interface no longer exists. What is not given is as the ADD"
            + " stored it: CNI_ARGS, capability arguments, and, where only one attachment fits,"
            + " container id, interface name and NETNS.");
  }

  @Override
  public Integer call() {
    return options.applyToStored(Network::delete);
  }
}
