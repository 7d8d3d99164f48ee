// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.SpecVersion;
import cni.exec.PluginPath;
import cni.exec.ServedPlugin;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Serves the modules of an image by the execution protocol, for callers that have been started
 * under a plugin's name.
 */
public final class PluginService {
  private final Predicate<Path> isLauncher;
  private final String version;

  /**
   * Creates a service.
   *
   * @param isLauncher whether a file starts this image, whose modules then serve it without another
   *     process
   * @param version the version of the build, for the text that a plugin prints about itself
   */
  public PluginService(Predicate<Path> isLauncher, String version) {
    this.isLauncher = isLauncher;
    this.version = version;
  }

  /**
   * Serves a request with the plugin that the caller is named after.
   *
   * @param cni has that plugin, and the executables on the caller's CNI_PATH
   * @param out the caller's standard output
   * @param err the caller's standard error
   * @return the exit status
   */
  public int serve(CallerRequest request, Cni cni, PrintStream out, PrintStream err) {
    try {
      NetworkPlugin plugin = module(request.name(), cni.plugins());
      String about = "CNI %s plugin of CNI for the JVM %s".formatted(request.name(), version);
      PluginPath path = PluginPath.parse(request.variable("CNI_PATH"));
      return new ServedPlugin(
              plugin, about, type -> delegate(type, path, cni), request.networkNamespace())
          .serve(request.environment(), request.input(), out, err);
    } catch (CniException e) {
      Json.print(e.toJson(SpecVersion.CURRENT), out);
      return 1;
    }
  }

  private static NetworkPlugin module(String type, PluginRegistry plugins) throws CniException {
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
    return plugins.disabled().stream().map(plugin -> "; " + plugin).collect(Collectors.joining());
  }

  /**
   * Finds a delegate on CNI_PATH, as any executable does. If the file found is this image, or if
   * there is none, the module serves the call without another process.
   */
  private NetworkPlugin delegate(String type, PluginPath path, Cni cni) throws CniException {
    Optional<Path> file = path.find(type);
    Optional<NetworkPlugin> executable =
        file.isPresent() && !isLauncher.test(file.get())
            ? cni.plugins().findExecutable(type)
            : Optional.empty();
    return executable.isPresent() ? executable.get() : cni.plugins().find(type);
  }
}
