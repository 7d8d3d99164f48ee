// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import picocli.CommandLine.Model.PositionalParamSpec;

/** {@code cni completion}. */
final class CompletionCommand extends Subcommand {
  private static final List<String> SHELLS = List.of("bash", "zsh", "fish");

  /**
   * Lets zsh run the script of bash, whether it sources the script or loads it as the function
   * {@code _cni} of a directory.
   */
  private static final String ZSH_HEADER =
      """
      #compdef cni
      whence compdef > /dev/null || { autoload -U +X compinit && compinit; }
      autoload -U +X bashcompinit && bashcompinit
      """;

  /** Completes the word for which zsh has loaded the function. */
  private static final String ZSH_FOOTER =
      """
      if [ "${funcstack[1]}" = _cni ]; then _bash_complete -F _cni; fi
      """;

  private final PositionalParamSpec shell =
      requiredParameter(0, "SHELL")
          .arity("0..1")
          .required(false)
          .completionCandidates(SHELLS)
          .converters(text -> requireOneOf(SHELLS, text))
          .description("bash, zsh or fish; default: bash.")
          .build();

  CompletionCommand() {
    super(
        "Print a completion script for bash, zsh or fish.",
        "Completes commands, options and their values, networks, namespaces, containers and plugin"
            + " types.");
    spec().addPositional(shell);
    spec()
        .usageMessage()
        .footerHeading("%nFor the current shell:%n")
        .footer(
            "  source <(cni completion bash)",
            "  source <(cni completion zsh)",
            "  cni completion fish | source",
            "For all shells:",
            "  cni completion bash > /etc/bash_completion.d/cni",
            "  cni completion zsh > /usr/local/share/zsh/site-functions/_cni   (with compinit)",
            "  cni completion zsh > /etc/zsh/cni && echo source /etc/zsh/cni >> /etc/zsh/zshrc",
            "  cni completion fish > /etc/fish/completions/cni.fish");
  }

  @Override
  public Integer call() throws CniException {
    String chosen = shell.getValue() == null ? SHELLS.getFirst() : shell.getValue();
    CompletionModel model = CompletionModel.of(spec().root().commandLine());
    List<String> plugins = pluginTypes();
    System.out.print(
        switch (chosen) {
          case "fish" -> FishCompletion.script(model, resource("completion.fish"), plugins);
          case "zsh" ->
              ZSH_HEADER
                  + BashCompletion.script(chosen, model, resource("completion.bash"), plugins)
                  + ZSH_FOOTER;
          default -> BashCompletion.script(chosen, model, resource("completion.bash"), plugins);
        });
    return 0;
  }

  /** Returns the types of the plugins of this image; others are found by the script. */
  private static List<String> pluginTypes() throws CniException {
    try (Cni cni = Cni.builder().oneShot().executables().pluginDirectories().build()) {
      return cni.plugins().list().stream()
          .map(PluginRegistry.AvailablePlugin::type)
          .distinct()
          .toList();
    }
  }

  private static String resource(String name) throws CniException {
    try (InputStream in = CompletionCommand.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IOException(name + " is missing from this image");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new CniException(ErrorCode.INTERNAL, "completion: " + e.getMessage(), e);
    }
  }
}
