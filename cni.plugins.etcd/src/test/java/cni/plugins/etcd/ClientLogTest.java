// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.etcd.ClientLog.Entry;
import cni.plugins.etcd.ClientLog.Operation;
import cni.plugins.etcd.ClientLog.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The comparison of clients' calls with the history, by logs that do not agree with it. */
class ClientLogTest {
  private static final String ONE = "10.1.0.1";
  private static final String TWO = "10.1.0.2";

  private final ClientLog log = new ClientLog();
  private final Map<String, HandleTimelines.Timeline> timelines = new TreeMap<>();
  private long last;

  /** Adds a revision in which a handle gets addresses; none if it is deleted. */
  private void change(String container, String... addresses) {
    timelines
        .computeIfAbsent(handle(container), it -> new HandleTimelines.Timeline())
        .change(++last, addresses.length == 0 ? null : List.of(addresses));
  }

  private static String handle(String container) {
    return ClientLog.handle("net", "a", container, "eth0");
  }

  private void call(
      Operation operation,
      String container,
      long start,
      long end,
      Outcome outcome,
      String... addresses) {
    log.add(
        new Entry("t", operation, handle(container), start, end, outcome, List.of(addresses), ""));
  }

  private void add(String container, long start, long end, String... addresses) {
    call(Operation.ADD, container, start, end, Outcome.SUCCESS, addresses);
  }

  private void del(String container, long start, long end) {
    call(Operation.DEL, container, start, end, Outcome.SUCCESS);
  }

  private List<String> violations() {
    return new ClientLogCheck(new HandleTimelines(timelines, last), log.entries()).violations();
  }

  private void assertViolation(String... parts) {
    List<String> violations = violations();
    for (String part : parts) {
      assertTrue(violations.stream().anyMatch(it -> it.contains(part)), violations.toString());
    }
    assertEquals(parts.length, violations.size(), violations.toString());
  }

  @Test
  void sequentialCallsAgree() {
    change("c1", ONE);
    add("c1", 0, 10, ONE + "/24");
    change("c2", TWO);
    add("c2", 20, 30, TWO);
    add("c2", 31, 32, TWO); // an ADD that is repeated changes nothing
    change("c1");
    del("c1", 40, 50);
    del("c1", 51, 52);
    change("c3", ONE);
    add("c3", 60, 70, ONE);
    change("c2");
    del("c2", 75, 76);
    change("c2", TWO);
    add("c2", 80, 90, TWO);
    assertEquals(List.of(), violations());
  }

  @Test
  void concurrentCallsAgreeInAnyOrder() {
    change("c2", TWO);
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    add("c2", 5, 20, TWO);
    assertEquals(List.of(), violations());
  }

  @Test
  void resultThatTheHandleNeverHadIsFound() {
    change("c1", ONE);
    add("c1", 0, 10, TWO);
    assertViolation(
        "the handle is not so at a revision since 0",
        "has [10.1.0.1] at revision 1 by no ADD",
        "has [10.1.0.1] in the end");
  }

  @Test
  void revisionsAgainstRealTimeAreFound() {
    change("c2", TWO);
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    add("c2", 20, 30, TWO); // its revision is lower, but it began later
    assertViolation("ADD net/a/c2/eth0 by t [20, 30]: [10.1.0.2]: the handle is not so at");
  }

  @Test
  void handleThatAnUnknownAddWroteMayBeOlder() {
    change("c2", TWO);
    change("c1", ONE);
    call(Operation.ADD, "c2", 0, 5, Outcome.UNKNOWN);
    add("c1", 0, 10, ONE);
    add("c2", 20, 30, TWO);
    assertEquals(List.of(), violations());
  }

  @Test
  void staleReadIsFound() {
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    change("c1");
    del("c1", 20, 30);
    change("c2", TWO);
    add("c2", 40, 50, TWO);
    add("c1", 60, 70, ONE); // returns a handle that has been deleted
    assertViolation(
        "ADD net/a/c1/eth0 by t [60, 70]: [10.1.0.1]: the handle is not so at a revision since 3",
        "handle net/a/c1/eth0 has none in the end");
  }

  @Test
  void delThatLeavesTheHandleIsFound() {
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    del("c1", 20, 30);
    assertViolation(
        "DEL net/a/c1/eth0 by t [20, 30]: []: the handle is not so at a revision since 1",
        "handle net/a/c1/eth0 has [10.1.0.1] in the end");
  }

  @Test
  void handleThatIsDeletedBeforeDelIsFound() {
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    change("c1");
    change("c2", TWO);
    add("c2", 20, 30, TWO);
    del("c1", 40, 50);
    assertViolation("the handle is changed to none at revision 2, before DEL");
  }

  @Test
  void handleThatIsChangedAndRestoredIsFound() {
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    change("c1", TWO);
    change("c1", ONE);
    assertViolation(
        "the handle is changed to [10.1.0.2] at revision 2, before DEL",
        "has [10.1.0.2] at revision 2 by no ADD");
  }

  @Test
  void addressOfTwoClientsIsFoundByTheLogAlone() {
    change("c1", ONE);
    change("c1");
    change("c2", ONE);
    add("c1", 0, 10, ONE);
    add("c2", 20, 30, ONE);
    del("c1", 40, 50);
    assertViolation(
        "the handle is changed to none at revision 2, before DEL", "[10.1.0.1] at a time");
  }

  @Test
  void addressThatMovesDuringDelIsNoViolation() {
    change("c1", ONE);
    add("c1", 0, 10, ONE);
    change("c1");
    change("c2", ONE);
    add("c2", 22, 24, ONE);
    del("c1", 20, 30);
    assertEquals(List.of(), violations());
  }

  @Test
  void handleWithoutCallsIsFound() {
    change("c1", ONE);
    assertViolation("has [10.1.0.1] at revision 1 by no ADD", "in the end after []");
  }

  @Test
  void effectOfAFailedAddIsFound() {
    change("c1", ONE);
    change("c1");
    call(Operation.ADD, "c1", 0, 10, Outcome.FAILED);
    assertViolation("has [10.1.0.1] at revision 1 by no ADD");
  }

  @Test
  void unknownCallsMayOrMayNotHaveAnEffect() {
    change("c1", ONE);
    change("c3", TWO);
    change("c4", "10.1.0.4");
    change("c3");
    call(Operation.ADD, "c1", 0, 10, Outcome.UNKNOWN);
    call(Operation.ADD, "c2", 0, 10, Outcome.UNKNOWN);
    add("c3", 0, 10, TWO);
    call(Operation.DEL, "c3", 20, 30, Outcome.UNKNOWN);
    add("c4", 0, 10, "10.1.0.4");
    call(Operation.DEL, "c4", 20, Long.MAX_VALUE, Outcome.UNKNOWN);
    assertEquals(List.of(), violations());
  }

  @Test
  void handleThatAppearsAfterDelIsFound() {
    change("c1", ONE);
    call(Operation.ADD, "c1", 0, 10, Outcome.UNKNOWN);
    del("c1", 20, 30);
    assertViolation("handle net/a/c1/eth0 has [10.1.0.1] in the end");
  }

  @Test
  void filesOfProcessesAreRead(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("log");
    try (var written = new ClientLog(file)) {
      written.begin(Operation.ADD, handle("c1")).succeeded(List.of("10.1.0.1/24", "fd00::1"));
      written.begin(Operation.DEL, handle("c1")).unknown("a timeout \"x\"\n");
      written.begin(Operation.ADD, handle("c2")).failed("full");
      written.begin(Operation.ADD, handle("c3"));
      Files.writeString(file, "{\"id\":9,\"cli", StandardOpenOption.APPEND);
      log.addFiles(List.of(file));
      assertEquals(written.entries(), log.entries());
    }
    Entry unfinished = log.entries().getLast();
    assertEquals(Outcome.UNKNOWN, unfinished.outcome());
    assertEquals(Long.MAX_VALUE, unfinished.end());
    assertEquals(List.of(ONE, "fd00:0:0:0:0:0:0:1"), log.entries().getFirst().addresses());
  }
}
