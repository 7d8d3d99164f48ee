package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.exec.ServedPlugin;
import cni.runtime.Cni;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

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
      System.out.println(Json.pretty(ServedPlugin.versionAnswer(versions)));
    } else {
      versions.forEach(System.out::println);
    }
    return 0;
  }
}
