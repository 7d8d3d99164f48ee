// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.Attachment;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.runtime.Cni;
import java.nio.file.Path;

/**
 * A process that attaches a container, prints its address, and keeps its lease until it is killed.
 */
final class LeaseHolderProcess {
  private LeaseHolderProcess() {}

  /** Arguments: network directory, cache directory, namespaces of host and container. */
  public static void main(String[] args) throws Exception {
    try (Cni cni =
        Cni.builder()
            .networks(Path.of(args[0]))
            .cache(Path.of(args[1]))
            .hostNamespace(Path.of(args[2]))
            .build()) {
      Path netns = Path.of(args[3]);
      String id = String.valueOf(netns.getFileName());
      Result result = cni.network("n").add(Attachment.of(id, netns, "eth0"));
      System.out.println(InetAddresses.format(result.ips().getFirst().address().address()));
      Thread.sleep(Long.MAX_VALUE);
    }
  }
}
