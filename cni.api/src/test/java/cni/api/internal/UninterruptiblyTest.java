// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.ErrorCode;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An interrupt neither aborts what must be whole nor gets lost. */
class UninterruptiblyTest {
  private static final byte[] SHORT = "content".getBytes(StandardCharsets.UTF_8);
  private static final byte[] LONG = "content and more".getBytes(StandardCharsets.UTF_8);

  @TempDir private Path directory;

  @AfterEach
  void clear() {
    Thread.interrupted();
  }

  @Test
  void filesAreWrittenAndReadByAnInterruptedThread() throws IOException {
    Path file = directory.resolve("file");
    Thread.currentThread().interrupt();
    AtomicFiles.writeUnpublished(file, SHORT);
    AtomicFiles.extend(file, LONG);
    assertArrayEquals(LONG, RegularFiles.read(file));
    assertArrayEquals(LONG, RegularFiles.readState(file));
    AtomicFiles.writeInPlace(file, SHORT);
    assertArrayEquals(SHORT, RegularFiles.read(file));
    AtomicFiles.write(file, directory.resolve("temporary"), LONG);
    assertArrayEquals(LONG, RegularFiles.read(file));
    assertTrue(Thread.interrupted());
  }

  @Test
  void filesAreRecycledByAnInterruptedThread() throws IOException {
    Path file = directory.resolve("file");
    AtomicFiles.writeUnpublished(file, SHORT);
    Thread.currentThread().interrupt();
    try (var recycler = new FileRecycler(directory, "spare.", 1)) {
      assertTrue(recycler.recycle(file));
      assertTrue(recycler.reuse(file, LONG), "the file was not kept");
    }
    assertArrayEquals(LONG, RegularFiles.read(file));
    assertTrue(Thread.interrupted());
  }

  @Test
  void workContinuesWhenTheCallerIsInterruptedAgainAndAgain() {
    Thread caller = Thread.currentThread();
    var done = new AtomicBoolean();
    Uninterruptibly.run(
        "test",
        () -> {
          for (int i = 0; i < 5; i++) {
            caller.interrupt();
            sleep(10); // throws if this thread were interrupted
          }
          done.set(true);
        });
    assertTrue(done.get());
    assertTrue(Thread.interrupted());
  }

  @Test
  void interruptedOutputIsReportedAsSuch() {
    Thread.currentThread().interrupt();
    var e = IoErrors.failure("saving it", new ClosedByInterruptException());
    assertEquals(ErrorCode.TRY_AGAIN_LATER.value(), e.code());
    assertEquals("interrupted while saving it", e.getMessage());
    assertEquals(List.of(), List.of(e.getSuppressed()));
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
