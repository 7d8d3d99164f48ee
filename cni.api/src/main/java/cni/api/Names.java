// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static java.util.Objects.requireNonNull;

import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/**
 * Checks of names that may become part of a path, a netlink message or an argument: networks,
 * containers, interfaces and plugin types. The {@code require} methods return their argument.
 */
public final class Names {
  /** SPEC section 1, {@code name}, and section 2, {@code CNI_CONTAINERID}. */
  private static final Pattern IDENTIFIER = Pattern.compile("[a-zA-Z0-9][a-zA-Z0-9_.\\-]*");

  /** NAME_MAX of linux/limits.h, the maximum length of a file name in bytes. */
  private static final int FILE_NAME_MAX = 255;

  /** IFNAMSIZ of linux/if.h without the terminating null byte. */
  private static final int INTERFACE_NAME_MAX = 15;

  private Names() {}

  /**
   * Requires a well-formed network name.
   *
   * @throws CniException code 7 unless it consists of letters, digits and {@code _ . -}, starts
   *     with a letter or digit and has at most 255 characters
   */
  public static String requireNetworkName(String name) throws CniException {
    requireNonNull(name, "name");
    if (!isIdentifier(name)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, "network name " + quote(name) + IDENTIFIER_RULES);
    }
    return name;
  }

  /**
   * Requires a well-formed container id.
   *
   * @throws CniException code 4 unless it consists of letters, digits and {@code _ . -}, starts
   *     with a letter or digit and has at most 255 characters
   */
  public static String requireContainerId(String id) throws CniException {
    requireNonNull(id, "id");
    if (!isIdentifier(id)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "container id (CNI_CONTAINERID) " + quote(id) + IDENTIFIER_RULES);
    }
    return id;
  }

  /** Returns whether the text is a well-formed container id or network name. */
  public static boolean isIdentifier(String text) {
    requireNonNull(text, "text");
    return text.length() <= FILE_NAME_MAX && IDENTIFIER.matcher(text).matches();
  }

  /**
   * Requires a valid name of a network interface.
   *
   * @throws CniException code 4 if {@link #isInterfaceName} is false
   */
  public static String requireInterfaceName(String name) throws CniException {
    requireNonNull(name, "name");
    if (!isInterfaceName(name)) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER,
          "interface name (CNI_IFNAME) " + quote(name) + INTERFACE_NAME_RULES);
    }
    return name;
  }

  /**
   * Returns whether the text is a valid name of a network interface: what dev_valid_name in
   * net/core/dev.c accepts, without {@code %}, which dev_alloc_name would replace by a number.
   */
  public static boolean isInterfaceName(String name) {
    requireNonNull(name, "name");
    int bytes = name.getBytes(StandardCharsets.UTF_8).length;
    return bytes >= 1
        && bytes <= INTERFACE_NAME_MAX
        && !name.equals(".")
        && !name.equals("..")
        && name.codePoints().noneMatch(Names::isForbiddenInInterfaceName);
  }

  /** The rules for interface names; continues a sentence that begins with the name. */
  public static final String INTERFACE_NAME_RULES =
      " must have 1 to 15 bytes, none of them a space, a slash, a colon, a percent or control"
          + " character, and not be . or ..";

  /** The rules for network names and container ids; continues a sentence. */
  static final String IDENTIFIER_RULES =
      " must start with a letter or digit, go on with letters, digits, '_', '.' or '-', and have at"
          + " most 255 of them";

  private static boolean isForbiddenInInterfaceName(int c) {
    return c == '/'
        || c == ':'
        || c == '%'
        || Character.isWhitespace(c)
        || Character.isISOControl(c);
  }

  /**
   * Requires a valid plugin type, which is also the file name of an executable.
   *
   * @throws CniException code 7 if it is empty, {@code .}, {@code ..}, longer than 255 characters,
   *     or contains a slash, backslash or control character
   */
  public static String requirePluginType(String type) throws CniException {
    requireNonNull(type, "type");
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
