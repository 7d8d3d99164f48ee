package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.exec.PluginPath;
import cni.exec.ServedPlugin;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The entry point of the launcher under a plugin's name: serves the module of that type by the CNI
 * execution protocol.
 */
public final class PluginMain {
  private final Cni.Builder builder =
      Cni.builder().oneShot().stderrHandler(StderrHandler.TO_STDERR);

  private final PluginPath path = PluginPath.parse(EnvironmentVariables.get("CNI_PATH").orElse(""));

  private PluginMain() {
    PluginLocations.configure(builder.executables(path.directories()));
  }

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
      status = new PluginMain().serve(type);
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

  private int serve(String type) throws CniException {
    Image.requireTrustedPlugins();
    NetworkPlugin plugin = module(type);
    if (!isVersionRequest()) {
      LauncherProcess.endTogether();
    }
    String about = "CNI %s plugin of CNI for the JVM %s".formatted(type, Image.version());
    return new ServedPlugin(plugin, about, this::delegate)
        .serve(System.getenv(), System.in, System.out, System.err);
  }

  private NetworkPlugin module(String type) throws CniException {
    PluginRegistry plugins = builder.build().plugins();
    return plugins
        .findInProcess(type)
        .orElseThrow(
            () ->
                new CniException(
                    ErrorCode.INVALID_CONFIG,
                    "this image has no plugin of type "
                        + Json.quote(type)
                        + "; \"cni plugins\" lists those available"
                        + describeDisabled(plugins)));
  }

  private static String describeDisabled(PluginRegistry plugins) {
    List<PluginRegistry.DisabledPlugin> disabled = plugins.disabled();
    return disabled.stream().map(plugin -> "; " + plugin).collect(Collectors.joining());
  }

  /**
   * Finds a delegate on CNI_PATH, as any executable does. If the file found is this image, or if
   * there is none, the module serves the call without another process.
   */
  private NetworkPlugin delegate(String type) throws CniException {
    Optional<Path> file = path.find(type);
    if (file.isPresent() && !Image.isLauncher(file.get())) {
      builder.forceExecutables(type);
    }
    return builder.build().plugins().find(type);
  }
}
