// SPDX-License-Identifier: Apache-2.0
package cni.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RollbackTest {
  @Test
  void stepThrowingTheOriginalFailureDoesNotStopTheOthers() {
    var failure = new IllegalStateException("once for all");
    var rollback = new Rollback();
    var ran = new ArrayList<String>();
    rollback.add(() -> ran.add("first"));
    rollback.add(
        () -> {
          throw failure;
        });
    assertEquals(failure, rollback.undoAfter(failure));
    assertEquals(List.of("first"), ran);
  }

  @Test
  void stepsRunInReverseEvenIfOneFails() {
    List<String> done = new ArrayList<>();
    var rollback = new Rollback();
    rollback.add(() -> done.add("first"));
    rollback.add(
        () -> {
          throw new IllegalStateException("second");
        });
    rollback.add(() -> done.add("third"));
    var failure = new CniException(ErrorCode.INTERNAL, "it");
    assertSame(failure, rollback.undoAfter(failure));
    assertEquals(List.of("third", "first"), done);
    assertEquals("second", failure.getSuppressed()[0].getMessage());
    rollback.undoAfter(failure);
    assertEquals(2, done.size());
  }

  @Test
  void interruptStaysPendingUntilTheStepsAreDone() {
    var rollback = new Rollback();
    List<Boolean> seen = new ArrayList<>();
    rollback.add(() -> seen.add(Thread.currentThread().isInterrupted()));
    Thread.currentThread().interrupt();
    rollback.undoAfter(new CniException(ErrorCode.INTERNAL, "it"));
    assertTrue(Thread.interrupted());
    assertFalse(seen.getFirst());
  }

  @Test
  void interruptsDuringTheRollbackDoNotReachItsSteps() {
    var rollback = new Rollback();
    List<String> done = new ArrayList<>();
    Thread caller = Thread.currentThread();
    for (int i = 0; i < 3; i++) {
      rollback.add(
          () -> {
            caller.interrupt();
            Thread.sleep(5);
            done.add("undone");
          });
    }
    var failure = rollback.undoAfter(new CniException(ErrorCode.INTERNAL, "it"));
    assertTrue(Thread.interrupted());
    assertEquals(List.of(), List.of(failure.getSuppressed()));
    assertEquals(3, done.size());
  }

  @Test
  void failedOperationIsUndoneBeforeItsErrorIsThrown() {
    var rollback = new Rollback();
    List<String> done = new ArrayList<>();
    CniException e =
        assertThrows(
            CniException.class,
            () ->
                rollback.guard(
                    "creating it",
                    () -> {
                      rollback.add(() -> done.add("undone"));
                      throw new IOException("broken");
                    }));
    assertEquals("creating it: broken", e.getMessage());
    assertEquals(List.of("undone"), done);
  }

  @Test
  void successfulOperationIsNotUndone() throws CniException {
    var rollback = new Rollback();
    List<String> done = new ArrayList<>();
    String value =
        rollback.guard(
            "creating it",
            () -> {
              rollback.add(() -> done.add("undone"));
              return "result";
            });
    assertEquals("result", value);
    assertEquals(List.of(), done);
  }
}
