// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.testing.JavaProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A process with the load of several hosts, which runs for some time or until it is killed. */
final class AllocationClient {
  /** What the process prints at its end. */
  static final String COLLECTED = "collected";

  private static final int NODES = 5;

  private AllocationClient() {}

  /**
   * Arguments: the endpoints, separated by commas; the directory of the hosts' states; the file of
   * the log; the beginning of the containers' names; the seconds that the load takes; the nodes. At
   * the end waits for the file {@link #go} and runs GC on each node.
   */
  public static void main(String[] args) throws Exception {
    List<String> endpoints = List.of(args[0].split(",", -1));
    Path directory = Path.of(args[1]);
    Duration load = Duration.ofSeconds(Long.parseLong(args[4]));
    try (var log = new ClientLog(Path.of(args[2]));
        var campaign = new AllocationCampaign(endpoints, directory, log)) {
      String ipam = "\"gcGrace\":2,\"timeout\":2," + TestNode.DUAL_STACK;
      for (String node : Arrays.asList(args).subList(NODES, args.length)) {
        campaign.addNode(node, campaign.nodes().size() % 2 == 1, ipam);
      }
      long end = System.nanoTime() + load.toNanos();
      new AllocationLoad(campaign.nodes(), () -> System.nanoTime() - end > 0, args[3], false).run();
      while (!Files.exists(go(directory))) {
        Thread.sleep(100);
      }
      campaign.collectAll();
      System.out.println(COLLECTED);
    }
  }

  /** Returns the file whose existence lets the process run GC. */
  static Path go(Path directory) {
    return directory.resolve("go");
  }

  /**
   * Starts the process.
   *
   * @param prefix the command that runs it, such as {@code ip netns exec NAME}; may be empty
   * @param output the file for what it prints
   */
  static ServerProcess start(
      List<String> prefix,
      List<String> endpoints,
      Path directory,
      Path log,
      Path output,
      String containers,
      Duration load,
      String... nodes)
      throws Exception {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                String.join(",", endpoints),
                directory.toString(),
                log.toString(),
                containers,
                String.valueOf(load.toSeconds())));
    arguments.addAll(List.of(nodes));
    return ServerProcess.start(
        prefix,
        JavaProcess.command(AllocationClient.class, arguments.toArray(String[]::new)),
        output);
  }

  /** Waits until a process has ended. */
  static void awaitEnd(ServerProcess process, Duration timeout) throws InterruptedException {
    long end = System.nanoTime() + timeout.toNanos();
    while (process.isAlive() && System.nanoTime() - end < 0) {
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }
}
