package cni.cli;

import cni.netlink.ffm.process.ChildEnvironment;
import java.util.HashMap;
import java.util.Map;

/**
 * The variables that the script bin/cni-jvm (src/main/image/cni-jvm) hides from the JVM, such as
 * CLASSPATH and JAVA_TOOL_OPTIONS. The command of {@code cni run}, which may be Java, gets them.
 */
final class CallerEnvironment {
  /** Precedes the names of hidden variables. */
  private static final String PREFIX = "CNI_CALLER_";

  private CallerEnvironment() {}

  /** Returns an environment in which the hidden variables have their names and values again. */
  static ChildEnvironment restore(ChildEnvironment environment) {
    Map<String, String> hidden = new HashMap<>();
    System.getenv()
        .forEach(
            (name, value) -> {
              if (name.startsWith(PREFIX)) {
                hidden.put(name.substring(PREFIX.length()), value);
              }
            });
    return environment.withoutPrefix(PREFIX).with(hidden);
  }
}
