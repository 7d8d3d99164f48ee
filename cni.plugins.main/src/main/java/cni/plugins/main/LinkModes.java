package cni.plugins.main;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.netlink.ffm.route.Link;
import cni.plugins.support.AttachmentCheck;
import java.util.Map;
import java.util.TreeSet;

/** The modes of a kind of links by the names that configurations give them. */
public final class LinkModes {
  private LinkModes() {}

  /**
   * The number of the mode that the configuration names.
   *
   * @param otherwise the mode where it names none
   * @throws CniException code 7 if there is no such mode
   */
  public static int parse(ConfigObject view, Map<String, Integer> modes, String otherwise)
      throws CniException {
    String name = view.nonEmpty("mode").orElse(otherwise);
    Integer mode = modes.get(name);
    if (mode == null) {
      throw view.invalid("mode", "is none of " + new TreeSet<>(modes.keySet()));
    }
    return mode;
  }

  /**
   * Checks that a link is in a mode.
   *
   * @throws CniException if it is in another
   */
  public static void requireMode(Link link, Map<String, Integer> modes, int wanted)
      throws CniException {
    if (link.kindData() instanceof Link.Mode(int mode) && mode != wanted) {
      throw AttachmentCheck.mismatch(
          "interface %s has %s mode %s, expected %s"
              .formatted(link.name(), link.kind(), name(modes, mode), name(modes, wanted)));
    }
  }

  /** The name of a mode, or its number if it has none. */
  private static String name(Map<String, Integer> modes, int mode) {
    return modes.entrySet().stream()
        .filter(entry -> entry.getValue() == mode)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse("number " + mode);
  }
}
