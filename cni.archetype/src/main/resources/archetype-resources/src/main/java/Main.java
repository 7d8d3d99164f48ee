package ${package};

import cni.exec.ServedPlugin;

/** Entry point of the plugin as an executable. */
final class Main {
  private Main() {}

  public static void main(String[] args) {
    System.exit(ServedPlugin.serveProcess(new Plugin(), "CNI plugin ${artifactId}"));
  }
}
