package cni.plugins.main;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.AttachmentCheck;
import java.util.Map;
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
   * Requires that a link is in a mode.
   *
   * @param expected the kernel's number
   * @throws CniException code 999 if it is in another mode
   */
  public static void requireMode(Link link, Map<String, Integer> modes, int expected)
      throws CniException {
    if (link.kindData() instanceof Link.Mode(int mode) && mode != expected) {
      throw AttachmentCheck.mismatch(
          "interface %s has %s mode %s, expected %s"
              .formatted(link.name(), link.kind(), name(modes, mode), name(modes, expected)));
    }
  }

  /** Returns the name of a mode, or its number if it has none. */
  private static String name(Map<String, Integer> modes, int mode) {
    return modes.entrySet().stream()
        .filter(entry -> entry.getValue() == mode)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse("number " + mode);
  }
}
