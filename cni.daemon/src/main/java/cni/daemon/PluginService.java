package cni.daemon;

import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.SpecVersion;
import cni.exec.CallerContext;
import cni.exec.ExecutablePlugin;
import cni.exec.PluginPath;
import cni.exec.ServedPlugin;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Serves the modules of an image by the execution protocol, for callers that have been started
 * under a plugin's name.
 */
public final class PluginService {
  private final Function<Map<String, String>, Cni> instances;
  private final Predicate<Path> isLauncher;
  private final String version;

  /**
   * Creates a service.
   *
   * @param instances returns the instance whose plugins serve requests with an environment, which
   *     names plugin directories and the plugin path
   * @param isLauncher whether a file starts this image, whose modules then serve it without a
   *     process
   * @param version the version of the build, for the text that a plugin prints about itself
   */
  public PluginService(
      Function<Map<String, String>, Cni> instances, Predicate<Path> isLauncher, String version) {
    this.instances = instances;
    this.isLauncher = isLauncher;
    this.version = version;
  }

  /**
   * Serves a request with the plugin that the caller is named after; returns the exit status.
   *
   * @param out the caller's standard output
   * @param err the caller's standard error
   */
  public int serve(CallerRequest request, PrintStream out, PrintStream err) {
    Map<String, String> environment = request.environment();
    try {
      Cni cni = instances.apply(environment);
      NetworkPlugin plugin = module(request.name(), cni.plugins());
      String about = "CNI %s plugin of CNI for the JVM %s".formatted(request.name(), version);
      PluginPath path = PluginPath.parse(request.variable("CNI_PATH"));
      var caller = new CallerContext(request.environmentOfExecutables(), request.directory());
      Delegates delegates =
          type -> findDelegate(type, path, StderrHandler.to(err), Optional.of(caller), cni);
      return new ServedPlugin(plugin, about, delegates, request.networkNamespace())
          .serve(environment, request.input(), out, err);
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
  private NetworkPlugin findDelegate(
      String type, PluginPath path, StderrHandler stderr, Optional<CallerContext> caller, Cni cni)
      throws CniException {
    Optional<Path> file = path.find(type);
    return file.isPresent() && !isLauncher.test(file.get())
        ? new ExecutablePlugin(type, file.get(), path, stderr, caller)
        : cni.plugins().find(type);
  }
}
