// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import cni.plugins.etcd.ClientLog.Operation;
import cni.plugins.etcd.HistorySource.Event;
import cni.plugins.etcd.HistorySource.Revision;
import java.math.BigInteger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The checks of histories that threads make together with an allocator in memory: a correct one is
 * accepted, and one with a fault is not.
 */
@Timeout(120)
class AllocationSimulationTest {
  private static final String BLOCK = "10.1.0.0-26";
  private static final int ADDRESSES = 64;
  private static final int THREADS = 6;
  private static final int ROUNDS = 60;

  /** How the allocator fails in one call. */
  enum Fault {
    NONE,
    /** An address is given to two containers. */
    ADDRESS_TWICE,
    /** ADD returns another address than the handle has. */
    WRONG_RESULT,
    /** ADD returns an address and does not reserve it. */
    UNRESERVED_RESULT,
    /** DEL succeeds and does nothing. */
    LOST_DEL,
    /** A handle is deleted while its container runs. */
    EARLY_DELETION,
    /** An address is reserved and not held. */
    LEAKED_BIT
  }

  /** An allocator with one block, whose every change is one revision. */
  private static final class Allocator {
    private final Fault fault;
    private final List<Revision> revisions = new ArrayList<>();
    private final Map<String, Integer> held = new HashMap<>();
    private BigInteger used = BigInteger.ZERO;
    private int changes;

    Allocator(Fault fault) {
      this.fault = fault;
    }

    private boolean fails(Fault kind) {
      return fault == kind && ++changes == THREADS * ROUNDS / 2;
    }

    private static String address(int index) {
      return "10.1.0." + index;
    }

    /** Makes a revision of a change of a handle and of the block. */
    private void write(String handle, int index, boolean present) {
      List<Event> events = new ArrayList<>();
      String block = "cni/blocks/net/a/" + BLOCK;
      String claim = "cni/claims/net/" + BLOCK;
      boolean empty = used.signum() == 0;
      events.add(new Event(claim, empty ? null : "{\"node\":\"a\"}"));
      events.add(new Event(block, empty ? null : "{\"used\":\"%x\"}".formatted(used)));
      String value =
          "{\"addresses\":[{\"address\":\"%s\",\"block\":\"%s\",\"owner\":\"a\"}]}"
              .formatted(address(index), BLOCK);
      events.add(new Event("cni/handles/" + handle, present ? value : null));
      revisions.add(new Revision(revisions.size() + 1L, events));
    }

    /**
     * Reserves an address.
     *
     * @param mayFail whether the fault may be in this call
     */
    synchronized String add(String handle, boolean mayFail) {
      Integer present = held.get(handle);
      if (present != null) {
        return address(present);
      }
      int index = 0;
      while (used.testBit(index)) {
        index++;
      }
      if (mayFail && !held.isEmpty() && fails(Fault.ADDRESS_TWICE)) {
        index = held.values().iterator().next();
      }
      if (mayFail && fails(Fault.UNRESERVED_RESULT)) {
        return address(ADDRESSES - 1);
      }
      held.put(handle, index);
      used = used.setBit(index);
      write(handle, index, true);
      return address(mayFail && fails(Fault.WRONG_RESULT) ? index + 1 : index);
    }

    synchronized void del(String handle, boolean mayFail) {
      Integer index = held.get(handle);
      if (index == null || (mayFail && fails(Fault.LOST_DEL))) {
        return;
      }
      held.remove(handle);
      if (!mayFail || !fails(Fault.LEAKED_BIT)) {
        used = used.clearBit(index);
      }
      write(handle, index, false);
    }

    /**
     * Does what another process does while a container runs.
     *
     * @return whether it has changed something
     */
    synchronized boolean interfere(String handle) {
      boolean interferes = held.containsKey(handle) && fails(Fault.EARLY_DELETION);
      if (interferes) {
        del(handle, false);
      }
      return interferes;
    }

    synchronized List<Revision> revisions() {
      return List.copyOf(revisions);
    }
  }

  /** Adds and deletes containers, some of them repeatedly, and a few with unknown outcomes. */
  private static void run(Allocator allocator, ClientLog log, int thread) {
    var random = new Random(thread);
    for (int round = 0; round < ROUNDS; round++) {
      String container = "c%d-%d".formatted(thread, random.nextInt(ROUNDS));
      String handle = ClientLog.handle("net", "a", container, "eth0");
      if (random.nextInt(10) == 0) {
        addAndDelWithUnknownOutcome(allocator, log, handle);
        continue;
      }
      add(allocator, log, handle);
      LockSupport.parkNanos(random.nextInt(200_000));
      if (allocator.interfere(handle)) {
        // The calls of other threads meanwhile show that the deletion is before the DEL.
        LockSupport.parkNanos(Duration.ofMillis(20).toNanos());
      } else if (random.nextInt(4) == 0) {
        add(allocator, log, handle);
      }
      ClientLog.Call call = log.begin(Operation.DEL, handle);
      allocator.del(handle, true);
      call.succeeded(List.of());
    }
  }

  private static void add(Allocator allocator, ClientLog log, String handle) {
    ClientLog.Call call = log.begin(Operation.ADD, handle);
    call.succeeded(List.of(allocator.add(handle, true)));
  }

  private static void addAndDelWithUnknownOutcome(
      Allocator allocator, ClientLog log, String handle) {
    ClientLog.Call added = log.begin(Operation.ADD, handle);
    allocator.add(handle, false);
    added.unknown("timeout");
    ClientLog.Call deleted = log.begin(Operation.DEL, handle);
    allocator.del(handle, false);
    deleted.unknown("timeout");
  }

  private static List<String> violations(Fault fault) throws Exception {
    var allocator = new Allocator(fault);
    var log = new ClientLog();
    var number = new AtomicInteger();
    try (ExecutorService executor = Executors.newFixedThreadPool(THREADS)) {
      Callable<Void> client =
          () -> {
            run(allocator, log, number.getAndIncrement());
            return null;
          };
      List<Callable<Void>> clients = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        clients.add(client);
      }
      for (Future<Void> future : executor.invokeAll(clients)) {
        future.get();
      }
    }
    return new AllocationHistory("cni", allocator::revisions).violations(log);
  }

  @Test
  void correctAllocatorIsAccepted() throws Exception {
    for (int i = 0; i < 20; i++) {
      assertEquals(List.of(), violations(Fault.NONE));
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void faultIsFound(Fault fault) throws Exception {
    List<String> violations = violations(fault);
    assertFalse(violations.isEmpty());
  }
}
