package cni.embedded;

import cni.api.Attachment;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.JavaProcess;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The main class of a runtime that another process kills. */
final class RuntimeProcess {
  private RuntimeProcess() {}

  private static final String PORT_MAPPINGS =
      "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }]";

  /** A file that does not exist; the process looks for it before each operation. */
  static final String MARKER = "/cni-test-operation-begins";

  /**
   * Returns the command that runs operations on the network {@code n} of a host.
   *
   * @param verbs ADD or DEL, each
   */
  static List<String> command(TestHost host, NetNs container, String... verbs) {
    List<String> command =
        new ArrayList<>(
            JavaProcess.command(
                RuntimeProcess.class,
                host.networks().toString(),
                host.executables().toString(),
                host.cache().toString(),
                host.netns().path().toString(),
                container.path().toString()));
    command.addAll(List.of(verbs));
    return command;
  }

  /**
   * Runs operations on one attachment.
   *
   * @param args the directories of networks, executables and results, the paths of the host's and
   *     the container's namespaces, then the verbs
   */
  public static void main(String[] args) throws Exception {
    Path container = Path.of(args[4]);
    Attachment attachment;
    try (NetNs netns = NetNs.open(container)) {
      attachment = TestHost.attachment(netns, "portMappings", PORT_MAPPINGS);
    }
    try (Cni cni =
        Cni.builder()
            .networks(Path.of(args[0]))
            .executables(Path.of(args[1]))
            .cache(Path.of(args[2]))
            .hostNamespace(Path.of(args[3]))
            .build()) {
      for (String verb : List.of(args).subList(5, args.length)) {
        boolean _ = Files.exists(Path.of(MARKER));
        if (verb.equals("ADD")) {
          cni.network("n").add(attachment);
        } else {
          cni.network("n").delete(attachment);
        }
      }
      boolean _ = Files.exists(Path.of(MARKER));
    }
  }
}
