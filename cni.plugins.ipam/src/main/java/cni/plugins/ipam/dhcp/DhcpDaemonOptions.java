// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.internal.DaemonArguments;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The command line of the daemon, compatible with the reference daemon's: {@code -name value},
 * {@code -name=value}, or with two hyphens.
 *
 * @param socket the path of the socket to listen on
 * @param pidFile the file to write the process id to
 * @param hostPrefix the host's root directory, prepended to namespace paths; empty for none
 * @param leases the directory to keep leases in
 * @param resendMax the longest delay between two messages to servers
 * @param resendTimeout how long an allocation waits for a server
 */
record DhcpDaemonOptions(
    Path socket,
    Optional<Path> pidFile,
    String hostPrefix,
    Path leases,
    Duration resendMax,
    Duration resendTimeout) {
  static final String USAGE =
      """
      Usage: dhcp daemon [OPTION VALUE]...
      Keeps the leases of containers whose dhcp plugin is an executable.

        -socketpath PATH      the socket to listen on (default /run/cni/dhcp.sock)
        -pidfile PATH         write the process id to this file
        -hostprefix PATH      the host's root directory, prepended to the paths of the socket
                              and of namespaces
        -leases DIR           keep the leases there, for the next daemon too
                              (default /run/cni/dhcp)
        -resendmax TIME       the longest delay between two messages (default 62s)
        -resendtimeout TIME   how long an allocation waits for a server (default 208s)
        -timeout TIME, -broadcast
                              accepted for compatibility with the reference daemon and
                              ignored
      """;

  private static final Set<String> WITH_VALUE =
      Set.of(
          "socketpath", "pidfile", "hostprefix", "leases", "resendmax", "resendtimeout", "timeout");
  private static final Set<String> FLAGS = Set.of("broadcast");

  /**
   * Parses the arguments.
   *
   * @throws CniException code 4 if an option is unknown or its value is missing or invalid
   */
  static DhcpDaemonOptions parse(List<String> arguments) throws CniException {
    Map<String, String> values = DaemonArguments.parse("dhcp", arguments, WITH_VALUE, FLAGS, USAGE);
    String prefix = values.getOrDefault("hostprefix", "");
    Optional<Path> pidFile = Optional.ofNullable(values.get("pidfile")).map(Path::of);
    if (pidFile.isPresent() && !pidFile.get().isAbsolute()) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "-pidfile " + pidFile.get() + " is not an absolute path");
    }
    String socket = values.getOrDefault("socketpath", DhcpConfig.DEFAULT_SOCKET.toString());
    return new DhcpDaemonOptions(
        Path.of(prefix + socket),
        pidFile,
        prefix,
        Path.of(values.getOrDefault("leases", "/run/cni/dhcp")),
        duration(values, "resendmax", "62s"),
        duration(values, "resendtimeout", "208s"));
  }

  /** Parses a duration as Go formats it: {@code 1m30s}, {@code 500ms}. */
  private static Duration duration(Map<String, String> values, String name, String defaultValue)
      throws CniException {
    String text = values.getOrDefault(name, defaultValue);
    try {
      return text.matches("\\d+ms")
          ? Duration.ofMillis(Long.parseLong(text.substring(0, text.length() - 2)))
          : Duration.parse("PT" + text.toUpperCase(Locale.ROOT));
    } catch (DateTimeParseException | NumberFormatException e) {
      throw new CniException(
          ErrorCode.INVALID_PARAMETER, "-" + name + " " + text + " is not a time like 10s", e);
    }
  }
}
