package cni.cli;

import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code cni completion}. */
@Command(
    name = "completion",
    mixinStandardHelpOptions = true,
    description = {
      "Prints a script that completes this command's words in bash and zsh.",
      "Now: source <(cni completion). For every shell: cni completion >"
          + " /etc/bash_completion.d/cni"
    })
final class CompletionCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  /** Made by picocli. */
  @SuppressWarnings("NullAway.Init") // picocli sets the field
  CompletionCommand() {}

  @Override
  public Integer call() {
    System.out.print(AutoComplete.bash("cni", spec.root().commandLine()));
    return 0;
  }
}
