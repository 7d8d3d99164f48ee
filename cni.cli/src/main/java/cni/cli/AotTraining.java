package cni.cli;

import java.util.List;

/**
 * The training run for the image's AOT cache (build/aot-cache): serves a plugin request, then runs
 * the command, so that the cache holds the classes of both. Failures are ignored.
 */
public final class AotTraining {
  private AotTraining() {}

  /**
   * Serves the bridge request in the environment and on standard input, then runs add, check and
   * del, and add and del again on a host whose bridge exists already. Exits as the command does.
   *
   * @param args a configuration directory, a network name, and the path of a container's namespace
   */
  public static void main(String[] args) {
    PluginMain.serveOnce("bridge");
    for (String verb : List.of("add", "check", "del", "add", "del")) {
      Main.execute(
          verb, "--networks", args[0], "--cache", args[0], "--ifname", "eth1", args[1], args[2]);
    }
    System.exit(0);
  }
}
