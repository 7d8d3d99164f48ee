package com.example.embedder;

import cni.api.Attachment;
import cni.api.Result;
import cni.runtime.Cni;
import java.nio.file.Path;

/** Attaches the container whose namespace is the third argument, and detaches it. */
final class Main {
  private Main() {}

  public static void main(String[] args) throws Exception {
    try (Cni cni = Cni.builder().networks(Path.of(args[0])).cache(Path.of(args[1])).build()) {
      var attachment = Attachment.of("embedded", Path.of(args[2]), "eth0");
      Result result = cni.network("mynet").add(attachment);
      System.out.println(result.ips().getFirst().address());
      cni.network("mynet").check(attachment);
      cni.network("mynet").delete(attachment);
    }
  }
}
