// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.exec.CallerContext;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;

/**
 * A command that this process runs for another one: what the command has of its caller where a
 * process would inherit it. It is bound to the thread that runs the command. On other threads the
 * static methods refer to this process itself.
 *
 * @param environment the caller's environment
 * @param directory the caller's working directory
 * @param out the caller's standard output
 * @param err the caller's standard error
 * @param namespace the path of the caller's network namespace; absent if it is that of this process
 * @param opener opens the networks and plugins that the command's options describe; the command
 *     closes them. An instance prints to the caller's standard error and must not serve another
 *     call; {@link CniBuilder#sharePlugins} shares what is expensive.
 */
record Invocation(
    Map<String, String> environment,
    Path directory,
    PrintStream out,
    PrintStream err,
    Optional<Path> namespace,
    Function<CniBuilder, Cni> opener) {
  private static final ScopedValue<Invocation> CURRENT = ScopedValue.newInstance();

  /** Runs a command whose code gets this from the static methods. */
  int call(Callable<Integer> command) throws Exception {
    return ScopedValue.where(CURRENT, this).call(command::call);
  }

  /** Returns the invocation that this thread serves; empty if this process is the command. */
  static Optional<Invocation> current() {
    return CURRENT.isBound() ? Optional.of(CURRENT.get()) : Optional.empty();
  }

  /** Returns standard output. */
  static PrintStream standardOutput() {
    return CURRENT.isBound() ? CURRENT.get().out : System.out;
  }

  /** Returns standard error. */
  static PrintStream standardError() {
    return CURRENT.isBound() ? CURRENT.get().err : System.err;
  }

  /** Returns the absolute form of a path, which may be relative to the working directory. */
  static Path resolve(String path) {
    Path given = Path.of(path);
    return CURRENT.isBound() ? CURRENT.get().directory.resolve(given) : given.toAbsolutePath();
  }

  /**
   * Opens networks and plugins for a single operation.
   *
   * @param builder has the values of the options
   */
  static Cni open(CniBuilder builder) {
    if (!CURRENT.isBound()) {
      return builder.oneShot().build();
    }
    Invocation invocation = CURRENT.get();
    var caller = new CallerContext(invocation.environment, invocation.directory);
    return invocation.opener.apply(builder.caller(caller));
  }
}
