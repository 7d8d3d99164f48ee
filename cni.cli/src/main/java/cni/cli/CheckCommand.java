package cni.cli;

import cni.api.CniException;
import cni.runtime.Network;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code cni check}. */
@Command(
    name = "check",
    mixinStandardHelpOptions = true,
    description = "Checks that an attachment is still as it was made; silent if it is.")
final class CheckCommand implements Callable<Integer> {
  @Mixin private AttachmentOptions options = new AttachmentOptions();

  @Override
  public Integer call() throws CniException {
    options.apply(Network::check);
    return 0;
  }
}
