// SPDX-License-Identifier: Apache-2.0
package com.example.embedder;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.Result;
import cni.runtime.Cni;
import java.nio.file.Path;

/** Attaches a container to the network "mynet", prints its address, and detaches it. */
final class Main {
  private Main() {}

  /** Arguments: a configuration directory, a cache directory, and the container's namespace. */
  public static void main(String[] args) throws Exception {
    try (Cni cni = Cni.builder().networks(Path.of(args[0])).cache(Path.of(args[1])).build()) {
      System.out.println(attachAndDetach(cni, Path.of(args[2])));
    }
  }

  /** Returns the address that the container had. */
  static String attachAndDetach(Cni cni, Path namespace) throws CniException {
    var attachment = Attachment.of("embedded", namespace, "eth0");
    Result result = cni.network("mynet").add(attachment);
    cni.network("mynet").check(attachment);
    cni.network("mynet").delete(attachment);
    return result.ips().getFirst().address().toString();
  }
}
