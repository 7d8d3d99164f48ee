// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.util.List;

/**
 * The daemon of a plugin that is run as an executable per call: a separate process, started by
 * {@code TYPE daemon} or {@code cni TYPE daemon}. A module registers one by {@code provides
 * cni.api.PluginDaemon with …}.
 */
public interface PluginDaemon {
  /** Returns the plugin's type. */
  String type();

  /** Returns the help text of {@code --help}: several lines. */
  String usage();

  /**
   * Requires that arguments are valid, without running.
   *
   * @param arguments as for {@link #run}
   * @throws CniException code 4 if one is not; the message says what is allowed
   */
  void requireValid(List<String> arguments) throws CniException;

  /**
   * Runs until the thread is interrupted.
   *
   * @param arguments the command-line arguments after {@code daemon}
   * @throws CniException code 4 if an argument is invalid, code 5 if the daemon cannot serve
   */
  void run(List<String> arguments) throws CniException;
}
