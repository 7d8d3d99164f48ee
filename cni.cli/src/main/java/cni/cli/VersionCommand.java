// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.exec.ServedPlugin;
import cni.runtime.Cni;
import java.util.List;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni version}. */
final class VersionCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final PositionalParamSpec type =
      requiredParameter(0, "TYPE").description("Plugin type, such as bridge.").build();
  private final OptionSpec json = flag("--json", "Print the plugin's reply to VERSION as JSON.");

  VersionCommand() {
    super("Print the specification versions that a plugin supports.");
    spec().addPositional(type).addOption(json);
  }

  @Override
  public Integer call() throws CniException {
    List<SpecVersion> versions;
    try (Cni cni = host.open()) {
      versions = cni.plugins().versions(type.getValue());
    }
    boolean asJson = json.getValue();
    if (asJson) {
      Json.print(ServedPlugin.versionResult(versions), System.out);
    } else {
      versions.forEach(System.out::println);
    }
    return 0;
  }
}
