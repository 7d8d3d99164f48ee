// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import java.io.InputStream;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a caller asks the host to do: to be the process that it would otherwise have become.
 *
 * @param arguments the name that the caller was started by, a plugin's type or {@code cni}, and its
 *     arguments
 * @param environment its environment
 * @param directory its working directory
 * @param input what it read from standard input
 * @param networkNamespace the path of its network namespace; absent if it is this process's
 */
public record CallerRequest(
    List<String> arguments,
    Map<String, String> environment,
    Path directory,
    InputStream input,
    Optional<Path> networkNamespace) {
  /** Marks the environment of executables that run for a request: they may not wait for others. */
  static final String NESTED_VARIABLE = "CNI_HOST_NESTED";

  /** The variable of a request for the status: the version of the caller's build. */
  private static final String VERSION_VARIABLE = "CNI_CALLER_VERSION";

  /** A request for the status, whose last argument is the format, text or json. */
  private static final List<String> STATUS = List.of("cni", "serve", "--status", "--format");

  /** Returns the arguments of a request for the status. */
  static List<String> statusArguments(String format) {
    return Stream.concat(STATUS.stream(), Stream.of(format)).toList();
  }

  /** Returns the environment of a request for the status. */
  static Map<String, String> statusEnvironment(String version) {
    return Map.of(VERSION_VARIABLE, version);
  }

  /** Returns the name that the caller was started by. */
  public String name() {
    return arguments.getFirst();
  }

  /** Returns a variable; the empty string if it is not set. */
  public String variable(String name) {
    return environment.getOrDefault(name, "");
  }

  /** Returns the environment that executables get which run for this request. */
  public Map<String, String> environmentOfExecutables() {
    Map<String, String> variables = new HashMap<>(environment);
    variables.put(NESTED_VARIABLE, "1");
    return variables;
  }

  /** Returns whether an executable that runs for another request made this one. */
  public boolean isNested() {
    return environment.containsKey(NESTED_VARIABLE);
  }

  /** Returns whether the host is asked for its status. */
  boolean isStatus() {
    return arguments.size() == STATUS.size() + 1
        && arguments.subList(0, STATUS.size()).equals(STATUS);
  }

  /** Returns whether the status is to be JSON. */
  boolean isStatusAsJson() {
    return arguments.getLast().equals("json");
  }

  /** Returns the version of the build that asks for the status. */
  String callerVersion() {
    return environment.getOrDefault(VERSION_VARIABLE, "unknown");
  }

  /** Returns what is counted together: the verb and the name. */
  CallKind kind() {
    String verb = variable("CNI_COMMAND");
    boolean isCommand = arguments.size() > 1;
    return new CallKind(isCommand ? arguments.get(1) : verb, name());
  }

  /**
   * Returns what requests have to be served one after the other with: those of one plugin for one
   * attachment. Empty if it need not wait for others.
   */
  Optional<String> attachment() {
    String container = variable("CNI_CONTAINERID");
    return arguments.size() > 1 || container.isEmpty() || isNested()
        ? Optional.empty()
        : Optional.of(name() + "\0" + container + "\0" + variable("CNI_IFNAME"));
  }
}
