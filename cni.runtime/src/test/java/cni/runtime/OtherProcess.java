// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.Attachment;
import cni.api.NetworkConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Set;

/** The main class of another process that uses the same cache. */
final class OtherProcess {
  private OtherProcess() {}

  /** The network of both processes, whose plugin {@code first} is slow in ADD and GC. */
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

  /**
   * Runs one operation and prints the times of its start and its end.
   *
   * @param args the cache directory, then ADD or GC
   */
  public static void main(String[] args) throws Exception {
    Network network = network(Path.of(args[0]));
    FakePlugin.onCall = () -> System.out.println("started " + System.nanoTime());
    if (args[1].equals("ADD")) {
      network.add(Attachment.of("other", Path.of("/run/netns/other"), "eth0"));
    } else {
      network.gc(Set.of());
    }
    System.out.println("ended " + System.nanoTime());
  }
}
