package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code cni validate}. */
@Command(
    name = "validate",
    mixinStandardHelpOptions = true,
    description = {
      "Checks a network's configuration: that it can be read, that its plugins exist, and that they"
          + " support its version.",
      "Prints the version that it would be used with and the capabilities that it asks for."
    })
final class ValidateCommand implements Callable<Integer> {
  @Mixin private HostOptions host = new HostOptions();

  @Parameters(paramLabel = "FILE", description = "The configuration: .conflist, .conf or .json.")
  private Path file = Path.of("");

  @Override
  public Integer call() throws CniException {
    try (Cni cni = host.open()) {
      Network network = cni.network(file);
      List<String> capabilities = network.validate();
      System.out.printf(
          "%s: network %s is valid: version %s, capabilities %s%n",
          file,
          network.name(),
          network.version(),
          capabilities.isEmpty() ? "none" : String.join(", ", capabilities));
    }
    return 0;
  }
}
