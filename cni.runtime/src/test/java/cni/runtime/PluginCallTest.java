// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Verb;
import java.util.List;
import org.junit.jupiter.api.Test;

class PluginCallTest {
  private final PluginCall call = new PluginCall("n", Verb.DEL, "t");

  private static void raise(Throwable failure) {
    if (failure instanceof Error error) {
      throw error;
    }
    throw (RuntimeException) failure;
  }

  @Test
  void failuresOfOneCallBecomeCniErrors() {
    for (Throwable failure :
        List.of(
            new IllegalStateException("x"),
            new NoClassDefFoundError("x"),
            new StackOverflowError("x"))) {
      CniException e = assertThrows(CniException.class, () -> call.run(() -> raise(failure)));
      assertEquals(999, e.code());
      assertEquals("network n, DEL by t: unexpected " + failure, e.getMessage());
      assertSame(failure, e.getCause());
      assertTrue(e.details().startsWith(failure + "\n\tat " + getClass().getName()), e::details);
      var failures = new FailureCollector("GC");
      failures.collect(() -> raise(failure));
      CniException collected = assertThrows(CniException.class, failures::throwIfAny);
      assertTrue(collected.getMessage().contains("unexpected " + failure));
    }
  }

  @Test
  void failuresOfTheProcessReachTheCaller() {
    assertThrows(OutOfMemoryError.class, () -> call.run(() -> raise(new OutOfMemoryError("none"))));
  }
}
