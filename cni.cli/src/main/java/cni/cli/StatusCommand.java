package cni.cli;

import cni.api.CniException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code cni status}. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    description = "Asks a network whether it could serve an ADD now; silent if it could.")
final class StatusCommand implements Callable<Integer> {
  @Mixin private NetworkOptions options = new NetworkOptions();

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "NETNS",
      description = "Not used: here because cnitool wants one.")
  @SuppressWarnings("UnusedVariable")
  private String namespace = "";

  @Override
  public Integer call() throws CniException {
    options.apply((network, cni) -> network.status());
    return 0;
  }
}
