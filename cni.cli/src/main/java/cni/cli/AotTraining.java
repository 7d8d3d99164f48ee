// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.daemon.CallerRequest;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The training run for the image's AOT cache (build/aot-cache): serves plugin requests, then runs
 * the command, so that the cache holds the classes of both. Failures are ignored.
 */
public final class AotTraining {
  private AotTraining() {}

  /**
   * Serves the bridge request in the environment and on standard input, and the requests of a
   * runtime that follow it. Then runs add, check and del for each network, twice, since the bridge
   * exists the second time. Exits as the command does.
   *
   * @param args a configuration directory, the path of a container's namespace, the configuration
   *     of the bridge request, and names of networks
   */
  public static void main(String[] args) {
    PluginMain.serveOnce("bridge");
    serve("bridge", "DEL", Map.of(), args[2]);
    for (String verb : List.of("ADD", "DEL")) {
      String loopback = "{\"cniVersion\":\"1.0.0\",\"name\":\"lo\",\"type\":\"loopback\"}";
      serve("loopback", verb, Map.of("CNI_IFNAME", "lo"), loopback);
    }
    for (String network : List.of(args).subList(3, args.length)) {
      for (String verb : List.of("add", "check", "del", "add", "del")) {
        Main.run(
            verb, "--networks", args[0], "--cache", args[0], "--ifname", "eth1", network, args[1]);
      }
    }
    System.exit(0);
  }

  /** Serves a request that differs from that of the environment. */
  private static void serve(
      String type, String command, Map<String, String> variables, String config) {
    Map<String, String> environment = new HashMap<>(System.getenv());
    environment.put("CNI_COMMAND", command);
    environment.putAll(variables);
    var input = new ByteArrayInputStream(config.getBytes(StandardCharsets.UTF_8));
    var request =
        new CallerRequest(List.of(type), environment, Path.of(""), input, Optional.empty());
    try {
      PluginMain.serve(request);
    } catch (CniException e) {
      ErrorReporter.report(e);
    }
  }
}
