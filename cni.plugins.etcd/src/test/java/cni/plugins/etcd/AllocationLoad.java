// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.plugins.etcd.ClientLog.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;

/**
 * A random load of hosts: several threads of each add and delete containers of their own, add
 * present ones again, delete those again whose addresses may be assigned to others by now, and, if
 * no other load uses the same hosts, run GC with the containers that are live or about to be.
 *
 * <p>A call with an unknown outcome is followed by another ADD or DEL of its container, or by
 * nothing until the next GC.
 */
final class AllocationLoad {
  private static final int THREADS = 3;

  /** The number of live containers of a thread. */
  private static final int MAX_LIVE = 8;

  private final List<LoggedNode> nodes;
  private final BooleanSupplier stop;
  private final String prefix;
  private final boolean collects;

  /**
   * Creates a load.
   *
   * @param stop returns whether the load ends
   * @param prefix what the names of its containers begin with
   * @param collects whether the load runs GC
   */
  AllocationLoad(List<LoggedNode> nodes, BooleanSupplier stop, String prefix, boolean collects) {
    this.collects = collects;
    this.nodes = List.copyOf(nodes);
    this.stop = stop;
    this.prefix = prefix;
  }

  /** Runs the load until it is to end. */
  void run() throws Exception {
    List<Callable<Void>> threads = new ArrayList<>();
    for (LoggedNode node : nodes) {
      Set<String> valid = ConcurrentHashMap.newKeySet();
      for (int i = 0; i < THREADS; i++) {
        var worker = new Worker(node, valid, prefix + i + "-", new Random());
        threads.add(
            () -> {
              while (!stop.getAsBoolean()) {
                worker.step();
              }
              return null;
            });
      }
    }
    AllocationCampaign.runAll(threads);
  }

  /** One thread of a host. */
  private final class Worker {
    private final LoggedNode node;

    /** The containers of the host that GC must not touch. */
    private final Set<String> valid;

    private final String names;
    private final Random random;
    private final List<String> live = new ArrayList<>();
    private final List<String> deleted = new ArrayList<>();
    private final List<String> unknown = new ArrayList<>();
    private int last;

    Worker(LoggedNode node, Set<String> valid, String names, Random random) {
      this.node = node;
      this.valid = valid;
      this.names = names;
      this.random = random;
    }

    void step() {
      int choice = random.nextInt(100);
      if (!unknown.isEmpty() && choice < 60) {
        String container = unknown.removeLast();
        if (choice < 30) {
          add(container);
        } else if (choice < 50) {
          delete(container);
        }
      } else if (choice < 66 && !live.isEmpty()) {
        node.add(any(live));
      } else if (choice < 72 && !deleted.isEmpty()) {
        delete(deleted.remove(random.nextInt(deleted.size())));
      } else if (choice < 73) {
        if (collects) {
          node.gc(List.copyOf(valid));
        }
      } else if (live.size() < MAX_LIVE && (live.isEmpty() || random.nextBoolean())) {
        add(names + ++last);
      } else if (!live.isEmpty()) {
        delete(live.remove(random.nextInt(live.size())));
      }
    }

    private String any(List<String> list) {
      return list.get(random.nextInt(list.size()));
    }

    private void add(String container) {
      valid.add(container);
      Outcome outcome = node.add(container);
      if (outcome == Outcome.SUCCESS) {
        live.add(container);
      } else {
        valid.remove(container);
        (outcome == Outcome.FAILED ? deleted : unknown).add(container);
      }
    }

    private void delete(String container) {
      valid.remove(container);
      (node.delete(container) == Outcome.SUCCESS ? deleted : unknown).add(container);
    }
  }
}
