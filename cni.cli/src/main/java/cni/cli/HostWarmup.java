// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.daemon.CallerRequest;
import cni.netlink.ffm.netns.NetNs;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Attaches a container of its own in temporary namespaces before the host is ready, so that the
 * first real request does not pay for loading and compiling.
 */
final class HostWarmup implements AutoCloseable {
  /** How often; the first is the slow one, and the compiler needs some more. */
  private static final int ROUNDS = 3;

  private final HostedRequests requests;
  private final Path directory;
  private final NetNs host;
  private final NetNs container;

  private HostWarmup(HostedRequests requests) throws IOException {
    this.requests = requests;
    directory = Files.createTempDirectory("cni-warm-up-");
    // A name would make /run/netns a mount point, which keeps container runtimes from removing the
    // names that are there already.
    host = NetNs.createUnnamed();
    container = NetNs.createUnnamed();
  }

  /**
   * Warms up. A failure is reported: the host works all the same, if more slowly at first. A signal
   * ends the warm-up, and the process after it.
   *
   * @return whether there was no signal
   */
  static boolean run(HostedRequests requests) {
    try (var signal = new InterruptOnShutdown("cni-warm-up-end")) {
      try (var warmup = new HostWarmup(requests)) {
        for (int i = 0; i < ROUNDS; i++) {
          warmup.attachAndDetach();
        }
      } catch (IOException | CniException | RuntimeException e) {
        if (!signal.isRequested()) {
          System.err.println("cni: the first requests will be slow: " + e.getMessage());
        }
      }
      return !signal.isRequested();
    }
  }

  /**
   * A plugin of the chain.
   *
   * @param options of its configuration, each preceded by a comma
   */
  private record Plugin(String type, String options) {}

  private List<Plugin> chain() {
    return List.of(
        new Plugin(
            "bridge",
            """
            , "bridge": "warm0", "isGateway": true, "ipMasq": true,
            "ipam": { "type": "host-local", "dataDir": "%s",
                      "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }]] }
            """
                .formatted(directory.resolve("data"))),
        new Plugin(
            "portmap",
            """
            , "runtimeConfig": { "portMappings": [
              { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }] }
            """),
        new Plugin("firewall", ""),
        new Plugin("bandwidth", ", \"ingressRate\": 1000000, \"ingressBurst\": 1000000"),
        new Plugin(
            "tuning",
            ", \"mtu\": 1400, \"dataDir\": \"%s\"".formatted(directory.resolve("tuning"))));
  }

  private void attachAndDetach() throws CniException {
    String result = "";
    for (Plugin plugin : chain()) {
      result = serve("ADD", plugin, result);
    }
    for (Plugin plugin : chain().reversed()) {
      serve("DEL", plugin, result);
    }
  }

  private String serve(String verb, Plugin plugin, String previous) throws CniException {
    String input =
        "{ \"cniVersion\": \"1.0.0\", \"name\": \"warm-up\", \"type\": \"%s\"%s%s }"
            .formatted(
                plugin.type(),
                plugin.options(),
                previous.isEmpty() ? "" : ", \"prevResult\": " + previous);
    Map<String, String> environment =
        Map.of(
            "CNI_COMMAND",
            verb,
            "CNI_CONTAINERID",
            "warm-up",
            "CNI_NETNS",
            container.path().toString(),
            "CNI_IFNAME",
            "eth0",
            "CNI_PATH",
            directory.toString());
    var request =
        new CallerRequest(
            List.of(plugin.type()),
            environment,
            directory,
            new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)),
            Optional.of(host.path()));
    var out = new ByteArrayOutputStream();
    var printed = new PrintStream(out, false, StandardCharsets.UTF_8);
    int status = requests.handle(request, printed, nowhere());
    printed.flush();
    if (status != 0) {
      throw new CniException(
          ErrorCode.INTERNAL,
          "%s of a temporary container by %s failed: %s"
              .formatted(verb, plugin.type(), out.toString(StandardCharsets.UTF_8)));
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  private static PrintStream nowhere() {
    return new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
  }

  @Override
  public void close() throws IOException {
    container.close();
    host.close();
    DirectoryTree.delete(directory);
  }
}
