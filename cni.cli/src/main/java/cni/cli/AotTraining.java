package cni.cli;

import cni.exec.ServedPlugin;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

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
    PluginRegistry plugins = Cni.builder().oneShot().build().plugins();
    var server = new ServedPlugin(plugins.findInProcess(type).orElseThrow(), "", plugins);
    var input = new ByteArrayInputStream(config.getBytes(StandardCharsets.UTF_8));
    server.serve(environment, input, System.out, System.err);
  }
}
