package cni.cli;

import picocli.AutoComplete;

/** {@code cni completion}. */
final class CompletionCommand extends Subcommand {
  CompletionCommand() {
    super(
        "Prints a script that completes this command's words in bash and zsh.",
        "Now: source <(cni completion). For every shell: cni completion >"
            + " /etc/bash_completion.d/cni");
  }

  @Override
  public Integer call() {
    System.out.print(AutoComplete.bash("cni", spec().root().commandLine()));
    return 0;
  }
}
