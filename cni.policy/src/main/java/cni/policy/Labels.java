// SPDX-License-Identifier: Apache-2.0
package cni.policy;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The grammar of Kubernetes' names and labels (apimachinery/pkg/util/validation). The methods
 * return what is wrong with a text, as the continuation of a sentence that begins with it.
 */
public final class Labels {
  /** The label of the namespace of a pod: the one that the kubelet gives its containers. */
  public static final String NAMESPACE = "io.kubernetes.pod.namespace";

  /** The label of the name of a pod. */
  public static final String POD_NAME = "io.kubernetes.pod.name";

  /** The largest length of a label's value, and of its key without the prefix. */
  private static final int MAX_LENGTH = 63;

  private static final int MAX_SUBDOMAIN = 253;
  private static final int MAX_PORT_NAME = 15;

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?");
  private static final Pattern DNS_LABEL = Pattern.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?");
  private static final Pattern PORT_NAME = Pattern.compile("[a-z0-9]+(-[a-z0-9]+)*");

  private Labels() {}

  /** Checks the key of a label: a name of up to 63 characters, with or without a prefix. */
  public static Optional<String> keyProblem(String key) {
    int slash = key.indexOf('/');
    if (slash >= 0 && !isSubdomain(key.substring(0, slash))) {
      return Optional.of(
          "is no label: its prefix must be a domain in lower case, as in example.com/role");
    }
    String name = key.substring(slash + 1);
    return isName(name)
        ? Optional.empty()
        : Optional.of(
            "is no label: its name must have 1 to 63 letters, digits, '-', '_' and '.', and begin"
                + " and end with a letter or digit");
  }

  /** Checks the value of a label, which may be empty. */
  public static Optional<String> valueProblem(String value) {
    return value.isEmpty() || isName(value)
        ? Optional.empty()
        : Optional.of(
            "is no value of a label: it must have up to 63 letters, digits, '-', '_' and '.', and"
                + " begin and end with a letter or digit");
  }

  private static boolean isName(String text) {
    return text.length() <= MAX_LENGTH && NAME.matcher(text).matches();
  }

  /** Checks the name of a port (IsValidPortName; RFC 6335, section 5.1). */
  public static Optional<String> portNameProblem(String name) {
    boolean valid =
        name.length() <= MAX_PORT_NAME
            && PORT_NAME.matcher(name).matches()
            && name.chars().anyMatch(c -> c >= 'a' && c <= 'z');
    return valid
        ? Optional.empty()
        : Optional.of(
            "is no name of a port: it must have 1 to 15 lower-case letters, digits and single '-',"
                + " and a letter among them");
  }

  /** Returns whether the text is a DNS label (RFC 1123) in lower case, as a namespace's name is. */
  public static boolean isDnsLabel(String text) {
    return text.length() <= MAX_LENGTH && DNS_LABEL.matcher(text).matches();
  }

  /** Returns whether the text is a DNS subdomain (RFC 1123) in lower case. */
  public static boolean isSubdomain(String text) {
    if (text.length() > MAX_SUBDOMAIN) {
      return false;
    }
    for (String label : text.split("\\.", -1)) {
      if (!DNS_LABEL.matcher(label).matches()) {
        return false;
      }
    }
    return true;
  }
}
