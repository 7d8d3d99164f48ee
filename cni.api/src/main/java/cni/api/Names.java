package cni.api;

import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/**
 * The grammar of everything that may become part of a path, a kernel message or an argument. Each
 * method gives its argument back if it is well formed.
 */
public final class Names {
  /** SPEC section 1, {@code name}, and section 2, {@code CNI_CONTAINERID}. */
  private static final Pattern IDENTIFIER = Pattern.compile("[a-zA-Z0-9][a-zA-Z0-9_.\\-]*");

  /** NAME_MAX of Linux: a longer name cannot become a file. */
  private static final int FILE_NAME_MAX = 255;

  /** IFNAMSIZ of linux/if.h, less the terminating zero. */
  private static final int INTERFACE_NAME_MAX = 15;

  private Names() {}

  /**
   * Checks a network's name.
   *
   * @throws CniException code 7 if it is not letters, digits, {@code _ . -} with a letter or digit
   *     first
   */
  public static String requireNetworkName(String name) throws CniException {
    if (!isIdentifier(name)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, "network name " + quote(name) + IDENTIFIER_RULES);
    }
    return name;
  }

  /**
   * Checks a container's id.
   *
   * @throws CniException code 4 if it is not letters, digits, {@code _ . -} with a letter or digit
   *     first
   */
  public static String requireContainerId(String id) throws CniException {
    if (!isIdentifier(id)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "container id (CNI_CONTAINERID) " + quote(id) + IDENTIFIER_RULES);
    }
    return id;
  }

  /** Whether the text could be a container's id or a network's name. */
  public static boolean isIdentifier(String text) {
    return text.length() <= FILE_NAME_MAX && IDENTIFIER.matcher(text).matches();
  }

  /**
   * Checks the name of a network interface by the kernel's rules (dev_valid_name in
   * net/core/dev.c).
   *
   * @throws CniException code 4 if the kernel would not take it
   */
  public static String requireInterfaceName(String name) throws CniException {
    if (!isInterfaceName(name)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "interface name (CNI_IFNAME) " + quote(name) + INTERFACE_NAME_RULES);
    }
    return name;
  }

  /** Whether the kernel would take the text as an interface's name. */
  public static boolean isInterfaceName(String name) {
    int bytes = name.getBytes(StandardCharsets.UTF_8).length;
    return bytes >= 1
        && bytes <= INTERFACE_NAME_MAX
        && !name.equals(".")
        && !name.equals("..")
        && name.codePoints().noneMatch(Names::isForbiddenInInterfaceName);
  }

  /** What an interface's name must be, to end a message. */
  public static final String INTERFACE_NAME_RULES =
      " must have 1 to 15 bytes, none of them a space, a slash, a colon, a percent or control"
          + " character, and not be . or ..";

  private static final String IDENTIFIER_RULES =
      " must start with a letter or digit, go on with letters, digits, '_', '.' or '-', and have at"
          + " most 255 of them";

  private static boolean isForbiddenInInterfaceName(int c) {
    // The kernel reads a percent sign as a place for a number ("eth%d"): never what was meant here.
    return c == '/'
        || c == ':'
        || c == '%'
        || Character.isWhitespace(c)
        || Character.isISOControl(c);
  }

  /**
   * Checks a plugin's type, which may become the name of an executable.
   *
   * @throws CniException code 7 if it is empty, {@code .}, {@code ..}, too long, or holds a
   *     separator or control character
   */
  public static String requirePluginType(String type) throws CniException {
    if (type.isEmpty()
        || type.length() > FILE_NAME_MAX
        || type.equals(".")
        || type.equals("..")
        || type.chars().anyMatch(c -> c == '/' || c == '\\' || Character.isISOControl(c))) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "plugin type " + quote(type) + " must be a plain file name, such as \"bridge\"");
    }
    return type;
  }

  private static String quote(String text) {
    return Json.quote(text);
  }
}
