// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Verb;
import cni.api.internal.CniCallable;
import cni.api.internal.CniRunnable;
import cni.api.internal.LazyLogger;
import cni.api.internal.StackTraces;

/**
 * The call of one plugin within an operation on a network; adds to its errors where they occurred.
 *
 * @param network the network's name
 * @param operation the operation
 * @param type the plugin's type
 */
record PluginCall(String network, String operation, String type) {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  /** Creates the call of a verb of the specification. */
  PluginCall(String network, Verb verb, String type) {
    this(network, verb.name(), type);
  }

  /**
   * Calls the plugin.
   *
   * @throws CniException the plugin's error, with network, operation and type in front of its
   *     message; code 999 for an exception that plugins must not throw
   */
  void run(CniRunnable call) throws CniException {
    call(call.asCallable());
  }

  /**
   * Calls the plugin and returns its answer.
   *
   * @throws CniException as {@link #run}
   */
  <T> T call(CniCallable<T> call) throws CniException {
    try {
      return call.call();
    } catch (CniException e) {
      throw failure(e);
    } catch (RuntimeException | LinkageError | StackOverflowError e) {
      throw unexpected(e);
    }
  }

  /** Returns the plugin's error, with network, operation and type in front of its message. */
  CniException failure(CniException e) {
    return e.withContext("network " + network + ", " + operation + " by " + type);
  }

  /**
   * Returns the error for an exception that plugins must not throw: code 999. Errors of the JVM
   * that concern only this call, of its classes or its stack, are among them. The stack trace is
   * logged and in the details.
   */
  CniException unexpected(Throwable e) {
    LOG.get().log(System.Logger.Level.WARNING, type + " " + operation + " failed unexpectedly", e);
    return failure(
        new CniException(ErrorCode.INTERNAL.value(), "unexpected " + e, StackTraces.of(e), e));
  }
}
