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
 * A program that attaches and detaches containers many times, and tells what that has cost in
 * memory: the live heap after the first round and after the last, and by how much the resident set
 * of the process has grown since it has used its heap, all in KiB.
 */
public final class Footprint {
  private static final int THREADS = 16;

  private Footprint() {}

  /**
   * Does it.
   *
   * @param arguments how many ADDs; the directory of configurations, which is the cache as well;
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
    useHeap();
    long before = resident();
    try (Cni cni = Cni.builder().networks(directory).cache(directory).build()) {
      Network network = cni.network(arguments[2]);
      round(network, attachments);
      long first = liveHeap();
      for (int i = attachments.size(); i < adds; i += attachments.size()) {
        round(network, attachments);
      }
      long last = liveHeap();
      System.out.println(first + " " + last + " " + (resident() - before));
    }
  }

  /** As any program does: the garbage that fills the heap is not the library's. */
  private static void useHeap() {
    long sum = 0;
    for (int i = 0; i < 4096; i++) {
      sum += new byte[1 << 16].length;
    }
    if (sum == 0) {
      throw new IllegalStateException();
    }
  }

  private static void round(Network network, List<Attachment> attachments) throws Exception {
    Crowd.run(THREADS, attachments.size(), i -> network.add(attachments.get(i)));
    Crowd.run(attachments.size(), attachments.size(), i -> network.delete(attachments.get(i)));
  }

  private static long liveHeap() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return (runtime.totalMemory() - runtime.freeMemory()) / 1024;
  }

  /** The resident set, VmRSS of proc_pid_status(5). */
  private static long resident() throws IOException {
    String status = Files.readString(Path.of("/proc/self/status"));
    String[] words = status.substring(status.indexOf("VmRSS:")).split("\\s+", 3);
    return Long.parseLong(words[1]);
  }
}
