// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.cli.CompletionModel.Command;
import cni.cli.CompletionModel.Option;
import cni.cli.CompletionModel.Value;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The completion script for bash, which zsh runs as well. It lists networks, namespaces and
 * containers by itself, without starting a JVM at each key.
 */
final class BashCompletion {
  private BashCompletion() {}

  /**
   * Returns the script.
   *
   * @param shell bash or zsh
   * @param functions the functions that do not depend on the model, of the resource completion.bash
   * @param plugins the types of the image's plugins
   */
  static String script(
      String shell, CompletionModel model, String functions, List<String> plugins) {
    var text = new StringBuilder();
    text.append(
        "# Completion of cni for %s; printed by \"cni completion %s\".%n".formatted(shell, shell));
    function(text, "_cni_subcommands", "$1", model, it -> words(it.subcommands()));
    function(
        text,
        "_cni_options",
        "$1",
        model,
        it -> words(it.options().stream().flatMap(o -> o.names().stream()).toList()));
    text.append("\n# Sets _cni_kind: flag, or the kind of the option's value.\n");
    text.append("_cni_option() {\n  _cni_kind=flag\n  case \"$1:$2\" in\n");
    for (Command command : model.commands()) {
      for (Option option : command.options()) {
        if (option.value() != null) {
          String patterns =
              option.names().stream()
                  .map(it -> quote(command.path() + ":" + it))
                  .collect(Collectors.joining(" | "));
          text.append("    %s) _cni_kind=%s ;;%n".formatted(patterns, kind(option.value())));
        }
      }
    }
    text.append("  esac\n}\n");
    text.append("\n# Sets _cni_kind: the kind of a command's parameter, counted from 0.\n");
    text.append("_cni_parameter() {\n  _cni_kind=any\n  case \"$1:$2\" in\n");
    for (Command command : model.commands()) {
      for (int i = 0; i < command.parameters().size(); i++) {
        boolean repeats = i == command.parameters().size() - 1;
        String index = repeats ? ":*" : ":" + i;
        text.append(
            "    %s%s) _cni_kind=%s ;;%n"
                .formatted(quote(command.path()), index, kind(command.parameters().get(i))));
      }
    }
    text.append("  esac\n}\n");
    text.append("\n_cni_plugin_types=%s\n".formatted(quote(String.join(" ", plugins))));
    return text.append(functions).toString();
  }

  private interface Line {
    String of(Command command);
  }

  private static void function(
      StringBuilder text, String name, String subject, CompletionModel model, Line line) {
    text.append("\n%s() {%n  case \"%s\" in%n".formatted(name, subject));
    for (Command command : model.commands()) {
      String words = line.of(command);
      if (!words.isEmpty()) {
        text.append("    %s) echo %s ;;%n".formatted(quote(command.path()), quote(words)));
      }
    }
    text.append("  esac\n}\n");
  }

  private static String words(List<String> words) {
    return String.join(" ", words);
  }

  private static String kind(Value value) {
    return value.words().isEmpty()
        ? value.kind().toString()
        : quote(value.kind() + ":" + String.join(" ", value.words()));
  }

  /** Quotes a word; none contains a quote. */
  private static String quote(String word) {
    return "'" + word + "'";
  }
}
