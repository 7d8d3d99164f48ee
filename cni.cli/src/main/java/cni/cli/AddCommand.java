package cni.cli;

import cni.api.CniException;
import cni.api.Json;
import cni.api.ResultJson;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code cni add}. */
@Command(
    name = "add",
    mixinStandardHelpOptions = true,
    description = "Attaches a namespace to a network and prints the result.")
final class AddCommand implements Callable<Integer> {
  @Mixin private AttachmentOptions options = new AttachmentOptions();

  @Override
  public Integer call() throws CniException {
    options.apply(
        (network, attachment) -> {
          var result = network.add(attachment);
          System.out.println(Json.pretty(ResultJson.write(result, network.version())));
        });
    return 0;
  }
}
