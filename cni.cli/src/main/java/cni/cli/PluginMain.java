// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.daemon.CallerRequest;
import cni.daemon.PluginService;
import cni.exec.PluginPath;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The entry point of the launcher under a plugin's name: serves the module of that type by the CNI
 * execution protocol.
 */
public final class PluginMain {
  private PluginMain() {}

  /**
   * Serves one request with the plugin whose type is the first argument, or, if the second argument
   * is {@code daemon}, runs the plugin's daemon.
   */
  public static void main(String[] args) {
    boolean daemon = args.length > 1 && args[1].equals("daemon");
    System.exit(
        daemon
            ? DaemonRunner.run(args[0], List.of(args).subList(2, args.length))
            : LauncherProcess.exitStatus(serveOnce(args.length == 0 ? "" : args[0])));
  }

  /**
   * Serves the request of this process's environment and standard input; returns the exit status.
   */
  static int serveOnce(String type) {
    if (isVersionRequest()) {
      Warmup.json();
    } else {
      Warmup.kernel();
    }
    int status;
    try {
      status = serve(ownRequest(type));
    } catch (CniException e) {
      status = answer(e);
    } catch (RuntimeException | Error e) {
      status = answer(new CniException(ErrorCode.INTERNAL, type + ": unexpected " + e, e));
    }
    return StandardOutput.check(status);
  }

  private static boolean isVersionRequest() {
    return EnvironmentVariables.get("CNI_COMMAND").equals(Optional.of(Verb.VERSION.name()));
  }

  private static int answer(CniException error) {
    Json.print(error.toJson(SpecVersion.CURRENT), System.out);
    return 1;
  }

  private static CallerRequest ownRequest(String type) {
    return new CallerRequest(
        List.of(type), System.getenv(), Path.of(""), System.in, Optional.empty());
  }

  /** Serves a request of this process; returns the exit status. */
  static int serve(CallerRequest request) throws CniException {
    Image.requireTrustedPlugins();
    Cni cni =
        PluginLocations.configure(Cni.builder())
            .oneShot()
            .executables(
                PluginPath.parse(EnvironmentVariables.get("CNI_PATH").orElse("")).directories())
            .stderrHandler(StderrHandler.TO_STDERR)
            .build();
    if (!isVersionRequest()) {
      LauncherProcess.endTogether();
    }
    return new PluginService(Image::isLauncher, Image.version())
        .serve(request, cni, System.out, System.err);
  }
}
