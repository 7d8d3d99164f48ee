// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.Delegates;
import cni.api.NetworkPlugin;
import cni.exec.PluginPath;
import cni.exec.ServedPlugin;
import cni.exec.StderrHandler;
import cni.runtime.PluginRegistry;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A plugin module, served in this process by the code that also serves it as an executable.
 *
 * @param plugin the plugin
 * @param plugins finds delegates that are not on CNI_PATH
 * @param timeout the time limit for one call
 */
public record ModuleUnderTest(NetworkPlugin plugin, PluginRegistry plugins, Duration timeout)
    implements PluginUnderTest {
  @Override
  public String describe() {
    return plugin.type() + " (module)";
  }

  @Override
  public boolean isInProcess() {
    return true;
  }

  @Override
  public Response call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException {
    var output = new ByteArrayOutputStream();
    var errors = new ByteArrayOutputStream();
    PluginPath path = PluginPath.parse(environment.getOrDefault("CNI_PATH", ""));
    var served =
        new ServedPlugin(plugin, describe(), delegates(path, errors), Optional.of(hostNamespace));
    var call =
        new FutureTask<>(
            () ->
                served.serve(
                    environment,
                    new ByteArrayInputStream(input),
                    new PrintStream(output, true, StandardCharsets.UTF_8),
                    new PrintStream(errors, true, StandardCharsets.UTF_8)));
    Thread thread = Thread.ofPlatform().daemon().name("conformance").start(call);
    int status;
    try {
      status = call.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      thread.interrupt();
      status = Response.TIMED_OUT;
    } catch (ExecutionException e) { // an executable would have crashed
      status = -1;
      errors.writeBytes(String.valueOf(e.getCause()).getBytes(StandardCharsets.UTF_8));
    } catch (InterruptedException e) {
      throw CniException.interrupted("calling " + describe());
    }
    return new Response(
        status, output.toString(StandardCharsets.UTF_8), errors.toString(StandardCharsets.UTF_8));
  }

  private Delegates delegates(PluginPath path, ByteArrayOutputStream errors) {
    StderrHandler diagnostics =
        (type, text) -> errors.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    return type -> {
      Optional<NetworkPlugin> executable = path.findPlugin(type, diagnostics);
      return executable.isPresent() ? executable.get() : plugins.find(type);
    };
  }
}
