// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.plugins.ipam.NoOpPluginHost;
import cni.testing.JavaProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Calls the plugin in a process started by a shell, which may have another umask or other mounts.
 */
final class HostLocalProcess {
  private HostLocalProcess() {}

  /** Arguments: the verb, the data directory, "resident" or "single". Prints 0 or the code. */
  public static void main(String[] args) throws CniException {
    PluginConfig config = AllocationLoop.config(args[1]);
    var plugin = new HostLocalPlugin();
    if (args[2].equals("resident")) {
      plugin.start(new NoOpPluginHost(Path.of(args[1])));
    }
    AttachmentRequest request = AllocationLoop.request(config, "c");
    try {
      switch (args[0]) {
        case "ADD" -> plugin.add(request);
        case "DEL" -> plugin.delete(request);
        default -> plugin.status(new NetworkRequest(config, request.context()));
      }
      System.out.println("0 ");
    } catch (CniException e) {
      System.out.println(e.code() + " " + e.getMessage());
    }
  }

  /** Runs shell commands, then this class, and returns what it prints. */
  static String run(String commands, String... arguments) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of("unshare", "--mount", "sh", "-c", commands + "\nexec \"$@\"", "sh"));
    command.addAll(JavaProcess.command(HostLocalProcess.class, arguments));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(commands + " ended with " + process.exitValue());
    }
    return output.strip();
  }
}
