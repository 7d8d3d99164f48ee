package cni.daemon;

import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.exec.ExecutablePlugin;
import cni.exec.PluginPath;
import cni.exec.ServedPlugin;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
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

  /** Serves a request to the host; returns the exit status. */
  public int serve(CallerRequest request, PrintStream out, PrintStream err) {
    Map<String, String> environment = request.environment();
    InputStream in = new ByteArrayInputStream(request.input());
    try {
      return serve(
          request.name(), new ServedCall(environment, request.networkNamespace(), in, out, err));
    } catch (CniException e) {
      Json.print(e.toJson(SpecVersion.CURRENT), out);
      return 1;
    }
  }

  /**
   * A call by the execution protocol.
   *
   * @param environment the caller's environment
   * @param hostNamespace the path of the caller's network namespace; absent for this process's
   */
  public record ServedCall(
      Map<String, String> environment,
      Optional<Path> hostNamespace,
      InputStream in,
      PrintStream out,
      PrintStream err) {
    /** Returns whether the plugin is only asked for its versions. */
    public boolean isVersion() {
      return environment.getOrDefault("CNI_COMMAND", "").equals(Verb.VERSION.name());
    }
  }

  /**
   * Serves a call with the plugin of a type; returns the exit status.
   *
   * @throws CniException code 7 if there is no such plugin
   */
  public int serve(String type, ServedCall call) throws CniException {
    Cni cni = instances.apply(call.environment());
    NetworkPlugin plugin = module(type, cni.plugins());
    String about = "CNI %s plugin of CNI for the JVM %s".formatted(type, version);
    PluginPath path = PluginPath.parse(call.environment().getOrDefault("CNI_PATH", ""));
    StderrHandler toCaller = StderrHandler.to(call.err());
    Delegates delegates = delegate -> findDelegate(delegate, path, toCaller, cni);
    return new ServedPlugin(plugin, about, delegates, call.hostNamespace())
        .serve(call.environment(), call.in(), call.out(), call.err());
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
  private NetworkPlugin findDelegate(String type, PluginPath path, StderrHandler stderr, Cni cni)
      throws CniException {
    Optional<Path> file = path.find(type);
    return file.isPresent() && !isLauncher.test(file.get())
        ? new ExecutablePlugin(type, file.get(), path, stderr)
        : cni.plugins().find(type);
  }
}
