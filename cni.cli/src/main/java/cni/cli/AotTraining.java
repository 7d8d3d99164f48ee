package cni.cli;

import java.util.List;

/**
 * What the image is trained with when it is built (build/aot-cache): a plugin and the command, one
 * after the other, so that the classes of both are remembered. The outcome does not matter.
 */
public final class AotTraining {
  private AotTraining() {}

  /**
   * Serves the request of the environment and of standard input to the bridge plugin, and then
   * attaches, checks and detaches; and once more, to a host that has been attached to before. Ends
   * as the command does.
   *
   * @param args the directory of a configuration, its network's name, and the container's namespace
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
