package cni.cli;

import cni.api.CniException;
import cni.runtime.Network;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code cni del}. */
@Command(
    name = "del",
    mixinStandardHelpOptions = true,
    description = "Detaches a namespace from a network; what is gone already is no error.")
final class DeleteCommand implements Callable<Integer> {
  @Mixin private AttachmentOptions options = new AttachmentOptions();

  @Override
  public Integer call() throws CniException {
    options.apply(Network::delete);
    return 0;
  }
}
