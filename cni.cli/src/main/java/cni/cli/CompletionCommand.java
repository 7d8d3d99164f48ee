package cni.cli;

import picocli.AutoComplete;

/** {@code cni completion}. */
final class CompletionCommand extends Subcommand {
  CompletionCommand() {
    super(
        "Print a completion script for bash and zsh.",
        "For the current shell: source <(cni completion). For all shells: cni completion >"
            + " /etc/bash_completion.d/cni");
  }

  @Override
  public Integer call() {
    System.out.print(AutoComplete.bash("cni", spec().root().commandLine()));
    return 0;
  }
}
