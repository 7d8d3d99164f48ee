// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.netlink.ffm.route.Link;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/** The {@code mode} of a macvlan or ipvlan interface, by name in the configuration. */
public final class LinkModes {
  private LinkModes() {}

  /**
   * Reads the key {@code "mode"}.
   *
   * @param modes the kernel's numbers by name
   * @param defaultMode the name of the mode if the configuration has none
   * @return the kernel's number
   * @throws CniException code 7 if there is no mode of that name
   */
  public static int parse(ConfigObject view, Map<String, Integer> modes, String defaultMode)
      throws CniException {
    String name = view.nonEmpty("mode").orElse(defaultMode);
    Integer mode = modes.get(name);
    if (mode == null) {
      throw view.invalid("mode", "is none of " + String.join(", ", new TreeSet<>(modes.keySet())));
    }
    return mode;
  }

  /**
   * Describes the difference between a link's mode and the expected one.
   *
   * @param expected the kernel's number
   * @return the finding; empty if the modes are equal
   */
  public static Optional<String> mismatch(Link link, Map<String, Integer> modes, int expected) {
    return number(link)
        .filter(mode -> mode != expected)
        .map(
            mode ->
                "interface %s has %s mode %s, expected %s"
                    .formatted(link.name(), link.kind(), name(modes, mode), name(modes, expected)));
  }

  /** Returns the kernel's number of a link's mode, if links of its kind have one. */
  public static Optional<Integer> number(Link link) {
    return link.kindData() instanceof Link.Mode(int mode) ? Optional.of(mode) : Optional.empty();
  }

  /** Returns the name of a mode, or its number if it has none. */
  public static String name(Map<String, Integer> modes, int mode) {
    return modes.entrySet().stream()
        .filter(entry -> entry.getValue() == mode)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse("number " + mode);
  }
}
