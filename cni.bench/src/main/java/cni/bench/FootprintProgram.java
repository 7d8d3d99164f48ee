// SPDX-License-Identifier: Apache-2.0
package cni.bench;

import cni.api.Attachment;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A program that attaches and detaches containers many times, and prints its memory use in KiB: the
 * live heap after the first round, the live heap after the last round, and the growth of the
 * resident set since the heap was filled.
 */
public final class FootprintProgram {
  private static final int THREADS = 16;

  private FootprintProgram() {}

  /**
   * Runs the rounds.
   *
   * @param arguments the number of ADDs; the directory of configurations, which is also the cache;
   *     the network; then the containers' namespaces
   */
  public static void main(String... arguments) throws Exception {
    int adds = Integer.parseInt(arguments[0]);
    Path directory = Path.of(arguments[1]);
    List<Attachment> attachments = new ArrayList<>();
    for (String namespace : List.of(arguments).subList(3, arguments.length)) {
      Path path = Path.of(namespace);
      attachments.add(Attachment.of(String.valueOf(path.getFileName()), path, "eth0"));
    }
    touchHeap();
    long before = residentSetKib();
    try (Cni cni = Cni.builder().networks(directory).cache(directory).build()) {
      Network network = cni.network(arguments[2]);
      attachAndDetachAll(network, attachments);
      long first = liveHeapKib();
      for (int i = attachments.size(); i < adds; i += attachments.size()) {
        attachAndDetachAll(network, attachments);
      }
      long last = liveHeapKib();
      System.out.println(first + " " + last + " " + (residentSetKib() - before));
    }
  }

  /** Fills the heap once, so that its pages are not counted as growth of the resident set. */
  private static void touchHeap() {
    long sum = 0;
    for (int i = 0; i < 4096; i++) {
      sum += new byte[1 << 16].length;
    }
    if (sum == 0) {
      throw new IllegalStateException();
    }
  }

  private static void attachAndDetachAll(Network network, List<Attachment> attachments)
      throws Exception {
    ParallelRun.run(THREADS, attachments.size(), i -> network.add(attachments.get(i)));
    ParallelRun.run(
        attachments.size(), attachments.size(), i -> network.delete(attachments.get(i)));
  }

  private static long liveHeapKib() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return (runtime.totalMemory() - runtime.freeMemory()) / 1024;
  }

  /** Returns the resident set, VmRSS of proc_pid_status(5). */
  private static long residentSetKib() throws IOException {
    String status = Files.readString(Path.of("/proc/self/status"));
    String[] words = status.substring(status.indexOf("VmRSS:")).split("\\s+", 3);
    return Long.parseLong(words[1]);
  }
}
