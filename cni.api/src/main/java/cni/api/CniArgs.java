package cni.api;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/** The text form of CNI_ARGS: {@code KEY=VALUE} pairs separated by semicolons (SPEC section 2). */
public final class CniArgs {
  private CniArgs() {}

  /**
   * Parses CNI_ARGS. Empty pairs are skipped; of equal keys the last is used.
   *
   * @return the pairs in order
   * @throws CniException code 4 if a pair is not of the form KEY=VALUE
   */
  public static Map<String, String> parse(String text) throws CniException {
    Map<String, String> args = new LinkedHashMap<>();
    for (String pair : text.split(";", -1)) {
      if (pair.isEmpty()) {
        continue;
      }
      int equals = pair.indexOf('=');
      if (equals <= 0) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "CNI_ARGS: " + Json.quote(pair) + " must be of the form KEY=VALUE");
      }
      args.put(pair.substring(0, equals), pair.substring(equals + 1));
    }
    return args;
  }

  /**
   * Formats CNI_ARGS.
   *
   * @throws CniException code 4 if a key or value contains a character that would change the pairs
   */
  public static String format(Map<String, String> args) throws CniException {
    for (Map.Entry<String, String> entry : args.entrySet()) {
      if (entry.getKey().isEmpty()
          || entry.getKey().indexOf('=') >= 0
          || (entry.getKey() + entry.getValue()).matches("(?s).*[;\0].*")) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "CNI_ARGS: key "
                + Json.quote(entry.getKey())
                + " and value "
                + Json.quote(entry.getValue())
                + " must not contain ';', and the key must not contain '='");
      }
    }
    return args.entrySet().stream()
        .map(entry -> entry.getKey() + "=" + entry.getValue())
        .collect(Collectors.joining(";"));
  }
}
