// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.runtime.Network;
import cni.testing.Campaign;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Operations that are interrupted once or twice at random instants, or whose deadline passes, leave
 * an attachment that is complete or nothing at all. Takes {@code cni.test.campaign.seconds}, by
 * default 10 s.
 */
@KernelTest
class InterruptCampaignTest {
  private static final Duration USUAL = Duration.ofSeconds(10);

  /** Longer than any of the operations takes on an idle machine. */
  private static final long MAX_DELAY_NANOS = TimeUnit.MILLISECONDS.toNanos(60);

  /** An executable at the end of the chain, whose ADD leaves a file until its DEL. */
  private static final String SCRIPT =
      """
      input=$(cat)
      case $CNI_COMMAND in
        VERSION) echo '{ "cniVersion": "1.1.0", "supportedVersions": [ "1.1.0" ] }' ;;
        ADD) : > @DIRECTORY@/mark
          rest=${input#*\\"prevResult\\"}
          rest=${rest#*:}
          echo "${rest%%\\}}" ;;
        DEL) rm -f @DIRECTORY@/mark ;;
      esac
      """;

  private final List<String> faults = new ArrayList<>();
  private final Campaign campaign = Campaign.start("interrupts", USUAL);
  private final Random random = campaign.random();
  private final TestHost host;
  private final NetNs container;
  private final Attachment attachment;
  private final Cni cni;
  private final Network network;
  private final Set<String> nothing;

  InterruptCampaignTest(TestHost host) throws Exception {
    this.host = host;
    container = host.container("a");
    attachment =
        attachment(
            container,
            "portMappings",
            "[{ \"hostPort\": 8080, \"containerPort\": 80, \"protocol\": \"tcp\" }]");
    host.script(
        "sample", SCRIPT.replace("@DIRECTORY@", host.directory().toString()).replace("%%", "%"));
    host.network(
        "n",
        "1.1.0",
        TestHost.DUAL_STACK.formatted("\"ipMasq\": true, \"ipMasqBackend\": \"nftables\","),
        "{ \"type\": \"portmap\", \"backend\": \"nftables\", \"snat\": true,"
            + " \"capabilities\": { \"portMappings\": true } }",
        "{ \"type\": \"tuning\", \"dataDir\": \"%s\", \"mtu\": 1400, \"mac\": \"%s\","
                .formatted(host.directory().resolve("tuning"), "0a:00:00:00:00:01")
            + " \"sysctl\": { \"net.ipv4.conf.all.log_martians\": \"1\" } }",
        "{ \"type\": \"sample\" }");
    cni = host.openCni();
    network = cni.network("n");
    network.add(attachment);
    network.delete(attachment);
    nothing = state();
  }

  @AfterEach
  void close() {
    cni.close();
  }

  private Set<String> state() throws IOException {
    return HostState.of(host, container);
  }

  @Test
  void interruptedOperationsLeaveAllOrNothing() throws Exception {
    int successes = 0;
    int rounds = 0;
    for (; campaign.goesOn(); rounds++) {
      String round = "round " + rounds;
      boolean added =
          rounds % 4 == 3 ? addByDeadline(round) : interrupt(round, () -> network.add(attachment));
      if (added) {
        successes++;
        useAndDelete(round);
      }
      if (!isEqual(round + (added ? " after DEL" : " after the failed ADD"), nothing)) {
        network.delete(attachment); // so that the next round starts afresh
        network.gc(Set.of());
      }
    }
    assertTrue(successes > 0 && successes < rounds, successes + " of " + rounds + " succeeded");
    assertEquals(List.of(), faults, faults.size() + " faults in " + rounds);
  }

  private void useAndDelete(String round) throws Exception {
    Set<String> attached = state();
    interrupt(round + " CHECK", () -> network.check(attachment));
    if (random.nextBoolean()) {
      interrupt(round + " GC", () -> network.gc(Set.of(attachment.id())));
    }
    network.check(attachment);
    isEqual(round + " after CHECK and GC", attached);
    if (!interrupt(round + " DEL", () -> network.delete(attachment))) {
      network.delete(attachment);
    }
  }

  private boolean isEqual(String when, Set<String> expected) throws IOException {
    String difference = HostState.difference(expected, state());
    if (!difference.isEmpty()) {
      faults.add(when + ": " + difference);
    }
    return difference.isEmpty();
  }

  private boolean addByDeadline(String round) throws Exception {
    Duration timeout = Duration.ofNanos(random.nextLong(1, MAX_DELAY_NANOS));
    try (Cni impatient = host.builder().timeout(timeout).build()) {
      impatient.network("n").add(attachment);
      return true;
    } catch (CniException e) {
      requireOrderly(round + " with " + timeout, e);
      return false;
    }
  }

  /** An operation on the network. */
  @FunctionalInterface
  private interface Operation {
    void run() throws CniException;
  }

  /** Runs an operation, which is interrupted, and returns whether it succeeded nevertheless. */
  private boolean interrupt(String round, Operation operation) throws Exception {
    long first = random.nextLong(MAX_DELAY_NANOS);
    long second = random.nextBoolean() ? random.nextLong(MAX_DELAY_NANOS / 4) : 0;
    var interrupter = new Interrupter(Thread.currentThread(), first, second);
    interrupter.start();
    boolean succeeded = true;
    boolean interrupted;
    boolean status;
    try {
      operation.run();
    } catch (CniException e) {
      requireOrderly(round, e);
      succeeded = false;
    } finally {
      interrupted = interrupter.sent;
      status = Thread.currentThread().isInterrupted();
      interrupter.end();
    }
    if (interrupted && !status) {
      faults.add(round + ": the interrupt status is lost");
    }
    return succeeded;
  }

  /** Interrupts a thread once or twice. */
  private static final class Interrupter extends Thread {
    private final Thread target;
    private final long first;
    private final long second;
    private volatile boolean sent;
    private volatile boolean ended;

    Interrupter(Thread target, long first, long second) {
      this.target = target;
      this.first = first;
      this.second = second;
    }

    @Override
    public void run() {
      interruptAfter(first);
      if (second > 0) {
        interruptAfter(second);
      }
    }

    private void interruptAfter(long nanos) {
      LockSupport.parkNanos(nanos);
      if (!ended) {
        target.interrupt();
        sent = true;
      }
    }

    /** Waits for its end and clears the interrupt status of the target, which calls this. */
    void end() {
      ended = true;
      LockSupport.unpark(this);
      while (isAlive()) {
        Thread.interrupted();
        Thread.onSpinWait();
      }
      Thread.interrupted();
    }
  }

  private void requireOrderly(String round, CniException e) {
    if (!e.is(ErrorCode.TRY_AGAIN_LATER)
        || e.getMessage().contains("null")
        || e.getMessage().contains("has not")
        || (e.getSuppressed().length > 0 && !round.endsWith("GC"))) {
      String suppressed = Arrays.toString(e.getSuppressed());
      faults.add(round + ": code " + e.code() + ", " + e.getMessage() + ", " + suppressed);
    }
  }
}
