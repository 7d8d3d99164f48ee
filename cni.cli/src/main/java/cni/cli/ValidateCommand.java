package cni.cli;

import cni.api.CniException;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni validate}. */
final class ValidateCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final PositionalParamSpec configuration =
      requiredParameter(0, "FILE")
          .type(Path.class)
          .description("The configuration: .conflist, .conf or .json.")
          .build();

  ValidateCommand() {
    super(
        "Checks a network's configuration: that it can be read, that its plugins exist, and that they"
            + " support its version.",
        "Prints the version that it would be used with and the capabilities that it asks for.");
    spec().addPositional(configuration);
  }

  @Override
  public Integer call() throws CniException {
    Path file = configuration.getValue();
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
