// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import cni.api.CniException;
import cni.api.ErrorCode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The command-line arguments of a {@link cni.api.PluginDaemon}: {@code --name value} and {@code
 * --name=value}, with one hyphen or two, as Go programs take them.
 */
public final class DaemonArguments {
  private DaemonArguments() {}

  /**
   * Returns the values by the names of the options; that of a flag is {@code true}.
   *
   * @param type the plugin's type, for messages
   * @param withValue the names of the options that have a value
   * @param flags the names of those that have none
   * @param usage the help text, for messages
   * @throws CniException code 4 if an argument is no such option, or its value is missing
   */
  public static Map<String, String> parse(
      String type, List<String> arguments, Set<String> withValue, Set<String> flags, String usage)
      throws CniException {
    Map<String, String> values = new HashMap<>();
    for (int i = 0; i < arguments.size(); i++) {
      String word = arguments.get(i).replaceFirst("^--?", "");
      int equals = word.indexOf('=');
      String name = equals < 0 ? word : word.substring(0, equals);
      boolean isOption = arguments.get(i).startsWith("-");
      if (isOption && flags.contains(name)) {
        values.put(name, "true");
      } else if (isOption
          && withValue.contains(name)
          && (equals >= 0 || i + 1 < arguments.size())) {
        values.put(name, equals >= 0 ? word.substring(equals + 1) : arguments.get(++i));
      } else {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "%s daemon: %s is not a known option with a value\n%s"
                .formatted(type, arguments.get(i), usage));
      }
    }
    return values;
  }
}
