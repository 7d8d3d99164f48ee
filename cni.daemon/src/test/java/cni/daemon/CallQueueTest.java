// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Calls that wait for others while threads cannot be created. */
class CallQueueTest {
  private final List<Runnable> started = new ArrayList<>();
  private final List<String> events = new ArrayList<>();
  private boolean hasThreads = true;
  private final CallQueue queue = new CallQueue(1, this::start);

  private void start(Runnable work) {
    if (!hasThreads) {
      throw new OutOfMemoryError("unable to create native thread");
    }
    started.add(work);
  }

  private void submit(String name, String container) {
    var request =
        new CallerRequest(
            List.of("bridge"),
            Map.of("CNI_CONTAINERID", container),
            Path.of("/"),
            InputStream.nullInputStream(),
            Optional.empty());
    queue.submit(request, () -> events.add(name), () -> events.add(name + " failed"));
  }

  @Test
  void callWithoutAThreadFailsAndOthersGoOn() {
    submit("first", "a");
    submit("second", "a");
    submit("third", "b");
    assertEquals(2, queue.waiting());
    hasThreads = false;
    started.removeFirst().run();
    assertEquals(List.of("first", "third failed", "second failed"), events);
    assertEquals(0, queue.waiting());
    submit("fourth", "a");
    assertEquals("fourth failed", events.getLast());
    hasThreads = true;
    submit("fifth", "a");
    started.removeFirst().run();
    assertEquals("fifth", events.getLast());
    assertEquals(List.of(), started);
  }
}
