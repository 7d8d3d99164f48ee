// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.cli.CompletionModel.Command;
import cni.cli.CompletionModel.Option;
import cni.cli.CompletionModel.Value;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The completion script for fish, with the descriptions of commands and options. */
final class FishCompletion {
  private FishCompletion() {}

  /**
   * Returns the script.
   *
   * @param functions the functions that do not depend on the model, of the resource completion.fish
   * @param plugins the types of the image's plugins
   */
  static String script(CompletionModel model, String functions, List<String> plugins) {
    var text = new StringBuilder();
    text.append("# Completion of cni for fish; printed by \"cni completion fish\".\n");
    text.append("set -g __cni_plugin_types " + String.join(" ", plugins) + "\n");
    text.append("set -g __cni_value_options " + valueOptions(model) + "\n");
    text.append("set -g __cni_commands " + names(model.commands(), false) + "\n");
    text.append("set -g __cni_groups " + names(model.commands(), true) + "\n");
    text.append(functions);
    for (Command command : model.commands()) {
      command(text, command);
    }
    return text.toString();
  }

  private static String valueOptions(CompletionModel model) {
    return model.commands().stream()
        .flatMap(it -> it.options().stream())
        .filter(it -> it.value() != null)
        .flatMap(it -> it.names().stream())
        .distinct()
        .collect(Collectors.joining(" "));
  }

  /** Returns the commands that are words behind cni, or those of them that have subcommands. */
  private static String names(List<Command> commands, boolean groups) {
    return commands.stream()
        .filter(it -> !it.path().isEmpty() && it.path().indexOf(' ') < 0)
        .filter(it -> !groups || !it.subcommands().isEmpty())
        .map(Command::path)
        .collect(Collectors.joining(" "));
  }

  private static void command(StringBuilder text, Command command) {
    String path = command.path();
    int space = path.lastIndexOf(' ');
    if (!path.isEmpty()) {
      line(text, space < 0 ? "" : path.substring(0, space), "")
          .append(
              " -a %s -d %s%n".formatted(path.substring(space + 1), quote(command.description())));
    }
    for (Option option : command.options()) {
      line(text, path, "");
      for (String name : option.names()) {
        text.append(
            name.startsWith("--") ? " -l " + name.substring(2) : " -s " + name.substring(1));
      }
      @Nullable Value value = option.value();
      text.append(value == null ? "" : " -x" + candidates(value));
      text.append(" -d " + quote(option.description()) + "\n");
    }
    for (int i = 0; i < command.parameters().size(); i++) {
      boolean repeats = i == command.parameters().size() - 1;
      Value value = Objects.requireNonNull(command.parameters().get(i));
      String candidates = candidates(value);
      if (!candidates.isEmpty()) {
        line(text, path, repeats ? "+" + i : String.valueOf(i)).append(candidates + "\n");
      }
    }
  }

  private static StringBuilder line(StringBuilder text, String path, String position) {
    return text.append(
        "complete -c cni -n %s"
            .formatted(quote(("__cni_at " + quoteInner(path) + " " + position).strip())));
  }

  private static String quoteInner(String path) {
    return "\"" + path + "\"";
  }

  private static String candidates(Value value) {
    return switch (value.kind()) {
      case ANY -> "";
      case WORDS -> " -a " + quote(String.join(" ", value.words()));
      case FILES -> " -a '(__fish_complete_path (commandline -ct))'";
      case DIRECTORIES -> " -a '(__fish_complete_directories (commandline -ct))'";
      case COMMANDS -> " -a '(__fish_complete_command)'";
      default -> " -a '(__cni_" + value.kind() + ")'";
    };
  }

  private static String quote(String text) {
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'";
  }
}
