package cni.cli;

import cni.api.Json;
import cni.api.ResultJson;

/** {@code cni add}. */
final class AddCommand extends Subcommand {
  private final AttachmentOptions options = new AttachmentOptions(spec());

  AddCommand() {
    super("Attach a network namespace to a network; print the result.");
  }

  @Override
  public Integer call() {
    return options.apply(
        (network, attachment) -> {
          var result = network.add(attachment);
          Json.print(ResultJson.write(result, network.version()), Invocation.standardOutput());
        });
  }
}
