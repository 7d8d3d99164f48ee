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
          .description("Configuration file: .conflist, .conf or .json.")
          .build();

  ValidateCommand() {
    super(
        "Validate a network configuration file.",
        "Checks the syntax, that the plugins exist, and that they support the version. Prints the"
            + " negotiated version and the capabilities that the configuration declares.");
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
