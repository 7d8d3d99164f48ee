// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CniException;
import cni.runtime.Network;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** {@code cni del}. */
final class DeleteCommand extends Subcommand {
  private final AttachmentOptions options = AttachmentOptions.ofStored(spec());

  DeleteCommand() {
    super(
        "Detach a network namespace from a network.",
        "Succeeds if the namespace or its interface no longer exists; prints a note if the cache does"
            + " not know the attachment either. What is not given is as the ADD"
            + " stored it: CNI_ARGS, capability arguments, and, where only one attachment fits,"
            + " container id, interface name and NETNS.");
  }

  @Override
  public Integer call() {
    return options.applyToStored(DeleteCommand::delete);
  }

  private static void delete(Network network, Attachment attachment) throws CniException {
    boolean isKnown = network.knownAttachments().contains(attachment.id());
    network.delete(attachment);
    Optional<Path> gone = attachment.namespace().filter(Files::notExists);
    if (!isKnown && (attachment.namespace().isEmpty() || gone.isPresent())) {
      // The specification requires that DEL succeeds; a typing error would not be noticed.
      Invocation.standardError()
          .println(
              "cni: note: %sthe cache has no attachment %s/%s to network %s"
                  .formatted(
                      gone.map(it -> it + " does not exist, and ").orElse(""),
                      attachment.containerId(),
                      attachment.interfaceName(),
                      network.name()));
    }
  }
}
