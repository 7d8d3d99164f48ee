package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.runtime.Cni;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.ObjectNode;

/** {@code cni version}. */
@Command(
    name = "version",
    mixinStandardHelpOptions = true,
    description = "Tells which versions of the specification a plugin supports.")
final class VersionCommand implements Callable<Integer> {
  @Mixin private HostOptions host = new HostOptions();

  @Parameters(paramLabel = "TYPE", description = "The plugin's type, such as bridge.")
  private String type = "";

  @Option(names = "--json", description = "Print JSON, as the plugin itself would.")
  private boolean json;

  @Override
  public Integer call() throws CniException {
    List<SpecVersion> versions;
    try (Cni cni = host.open()) {
      versions = cni.plugins().versions(type);
    }
    if (json) {
      ObjectNode answer = Json.object().put("cniVersion", SpecVersion.CURRENT.toString());
      var supported = answer.putArray("supportedVersions");
      versions.forEach(version -> supported.add(version.toString()));
      System.out.println(Json.pretty(answer));
    } else {
      versions.forEach(System.out::println);
    }
    return 0;
  }
}
