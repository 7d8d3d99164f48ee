// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.internal.IoErrors;
import cni.api.internal.RegularFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * The host administrator's list of sysctls that networks may set: a file with a regular expression
 * in each line. A key is allowed if one of them matches any part of it; without the file all keys
 * are allowed.
 *
 * @param file /etc/cni/tuning/allowlist.conf
 */
record SysctlAllowList(Path file) {
  private static final Pattern POSIX_CLASS = Pattern.compile("\\[:([a-z]+):]");

  /**
   * Requires that every key is allowed.
   *
   * @throws CniException code 7 if one is not or a line is no regular expression, code 5 if the
   *     file cannot be read
   */
  void requireAllowed(Set<String> keys) throws CniException {
    List<String> lines;
    try {
      String text = new String(RegularFiles.read(file), StandardCharsets.UTF_8);
      lines = text.lines().map(String::strip).filter(it -> !it.isEmpty()).toList();
    } catch (NoSuchFileException e) {
      return;
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, file + " cannot be read: " + IoErrors.reason(e), e);
    }
    List<Pattern> expressions = new ArrayList<>();
    for (String key : keys) {
      if (!matches(lines, expressions, key)) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "sysctl "
                + Json.quote(key)
                + " is not allowed on this host; the expressions in "
                + file
                + " are "
                + lines);
      }
    }
  }

  /** Converts the syntax of Go's named groups and POSIX classes to that of Java. */
  private static String toJavaSyntax(String expression) {
    return POSIX_CLASS
        .matcher(expression.replace("(?P<", "(?<"))
        .replaceAll(
            found -> Matcher.quoteReplacement("\\p{" + javaClassName(found.group(1)) + "}"));
  }

  private static String javaClassName(String posix) {
    return posix.equals("xdigit")
        ? "XDigit"
        : posix.substring(0, 1).toUpperCase(Locale.ROOT) + posix.substring(1);
  }

  /**
   * Whether one of the lines matches a key.
   *
   * @param compiled the expressions of the first lines, to which those of further lines are added
   */
  private boolean matches(List<String> lines, List<Pattern> compiled, String key)
      throws CniException {
    for (int i = 0; i < lines.size(); i++) {
      if (i == compiled.size()) {
        compiled.add(compile(lines.get(i)));
      }
      if (compiled.get(i).matcher(key).find()) {
        return true;
      }
    }
    return false;
  }

  private Pattern compile(String line) throws CniException {
    try {
      return Pattern.compile(toJavaSyntax(line));
    } catch (PatternSyntaxException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          file
              + " has "
              + Json.quote(line)
              + ", which is no regular expression: "
              + e.getDescription(),
          e);
    }
  }
}
