package cni.cli;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import picocli.CommandLine.Model.OptionSpec;

/** {@code cni gc}. */
final class GcCommand extends Subcommand {
  private final NetworkOptions options = new NetworkOptions(spec());
  private final OptionSpec valid =
      listOption("--valid")
          .paramLabel("ID/IFNAME")
          .description("Attachment to keep: container id and interface name; may be repeated.")
          .build();

  GcCommand() {
    super(
        "Remove resources of attachments that no longer exist.",
        "--valid names the attachments that still exist. Without it all attachments are removed, as by"
            + " cnitool.");
    NetworkOptions.addUnusedNamespace(spec());
    spec().addOption(valid);
  }

  @Override
  public Integer call() throws CniException {
    Set<AttachmentId> ids = new HashSet<>();
    for (String text : valid.<List<String>>getValue()) {
      ids.add(parse(text));
    }
    options.apply(
        (network, cni) -> {
          AbandonedRuns.remove(cni);
          network.gc(ids);
        });
    return 0;
  }

  private static AttachmentId parse(String text) throws CniException {
    int slash = text.indexOf('/');
    if (slash < 0) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "--valid "
              + Json.quote(text)
              + " must have the form ID/IFNAME: a container id and an interface name");
    }
    var id = new AttachmentId(text.substring(0, slash), text.substring(slash + 1));
    Attachment.requireValid(id);
    return id;
  }
}
