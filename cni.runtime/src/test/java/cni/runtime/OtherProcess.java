package cni.runtime;

import cni.api.Attachment;
import cni.api.NetworkConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Set;

/** A process beside the test's: it works on the same cache. */
final class OtherProcess {
  private OtherProcess() {}

  /** The network that both know: {@code first} takes its time for ADD and GC. */
  static Network network(Path cache) throws Exception {
    String text =
        """
        { "cniVersion": "1.1.0", "name": "n",
          "plugins": [ { "type": "first", "ADD": "slow", "GC": "slow" } ] }
        """;
    return Cni.builder()
        .cache(cache)
        .build()
        .network(NetworkConfig.parse(text.getBytes(StandardCharsets.UTF_8), "test"));
  }

  /** Arguments: the cache, then ADD or GC. Prints when it begins and when it has ended. */
  public static void main(String[] args) throws Exception {
    Network network = network(Path.of(args[0]));
    FakePlugin.onCall = () -> System.out.println("begun " + System.nanoTime());
    if (args[1].equals("ADD")) {
      network.add(Attachment.of("other", Path.of("/run/netns/other"), "eth0"));
    } else {
      network.gc(Set.of());
    }
    System.out.println("ended " + System.nanoTime());
  }
}
