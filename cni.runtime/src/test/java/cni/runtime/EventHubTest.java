// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.PluginEvent;
import cni.api.PluginEvent.Kind;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Listeners that cannot keep up. */
class EventHubTest {
  private static final int CAPACITY = 4096;

  private static PluginEvent event(int number) {
    return PluginEvent.now(Kind.OTHER, "test", "n", Optional.empty(), String.valueOf(number));
  }

  @Test
  void listenerThatIsTooSlowLearnsHowManyEventsAreLost(@TempDir Path cache) throws Exception {
    BlockingQueue<PluginEvent> received = new LinkedBlockingQueue<>();
    var entered = new CountDownLatch(1);
    var released = new CountDownLatch(1);
    try (Cni cni = Cni.builder().cache(cache).executables().build()) {
      EventHub hub = new EventHub(cache, Optional.empty(), false, cni.state().cache());
      try (Subscription _ =
          hub.subscribe(
              event -> {
                if (!event.source().equals("test") && event.kind() != Kind.EVENTS_LOST) {
                  return;
                }
                entered.countDown();
                try {
                  released.await();
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
                received.add(event);
              })) {
        hub.publish(event(0));
        assertTrue(entered.await(10, TimeUnit.SECONDS));
        for (int i = 1; i <= CAPACITY + 5; i++) {
          hub.publish(event(i));
        }
        released.countDown();
        PluginEvent lost = received.poll(10, TimeUnit.SECONDS);
        while (lost != null && !lost.message().startsWith("5 events are lost")) {
          lost = received.poll(10, TimeUnit.SECONDS);
        }
        assertTrue(lost != null);
        assertEquals(Kind.EVENTS_LOST, lost.kind());
      }
      hub.close();
    }
  }
}
