// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import java.io.PrintStream;

/** Receives the standard error of executables. Its contents are not part of the protocol. */
@FunctionalInterface
public interface StderrHandler {
  /** Writes to the logger {@code cni.exec}, at level INFO. */
  StderrHandler TO_LOG =
      (type, text) ->
          System.getLogger("cni.exec").log(System.Logger.Level.INFO, type + ": " + text.strip());

  /** Writes to the standard error of this process, as a plugin does for its delegates. */
  StderrHandler TO_STDERR = (type, text) -> to(System.err).handle(type, text);

  /** Returns a handler that writes to a stream as {@link #TO_STDERR} does. */
  static StderrHandler to(PrintStream stream) {
    return (type, text) -> stream.print(type + ": " + text.stripTrailing() + "\n");
  }

  /**
   * Receives the standard error of one call, after it has ended.
   *
   * @param type the plugin's type
   * @param text the whole text; not empty
   */
  void handle(String type, String text);
}
