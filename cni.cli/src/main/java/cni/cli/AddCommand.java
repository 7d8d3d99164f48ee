// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Attachment;
import cni.api.CapabilityArgs;
import cni.api.Json;
import cni.api.ResultJson;

/** {@code cni add}. */
final class AddCommand extends Subcommand {
  private final AttachmentOptions options = new AttachmentOptions(spec());
  private final CapabilityOptions capabilities = new CapabilityOptions(spec());

  AddCommand() {
    super(
        "Attach a network namespace to a network; print the result.",
        "Ports, limits and other capability arguments need a plugin of the network that declares"
            + " the capability. An option replaces the same capability of --capability-args.");
    spec()
        .usageMessage()
        .footer(
            "",
            "Examples:",
            "  cni add mynet blue",
            "  cni add mynet blue -p 8080:80 -p 5353:53/udp --bandwidth in=10M,out=5M");
  }

  @Override
  public Integer call() {
    CapabilityArgs given = capabilities.args();
    return options.apply(
        (network, attachment) -> {
          Attachment requested =
              options.isCapabilityArgsOption()
                  ? attachment
                  : CapabilityOptions.ofEnvironment(attachment, network);
          var result = network.add(CapabilityOptions.addTo(requested, given));
          Json.print(ResultJson.write(result, network.version()), Invocation.standardOutput());
        });
  }
}
