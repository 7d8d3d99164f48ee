// SPDX-License-Identifier: Apache-2.0
package cni.daemon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The order and the end of calls, with handlers that run no plugins. */
class RequestDispatcherTest {
  @TempDir private Path directory;

  private TestImage host(RequestHandler handler) throws Exception {
    return new TestImage(directory, 2, Duration.ofMillis(100), handler);
  }

  @Test
  void callsOfOneAttachmentRunInOrderAndOthersAtOnce() throws Exception {
    var most = new AtomicInteger();
    var running = new AtomicInteger();
    List<String> order = Collections.synchronizedList(new ArrayList<>());
    RequestHandler slow =
        (request, out, err) -> {
          most.accumulateAndGet(running.incrementAndGet(), Math::max);
          TestImage.pause(50);
          order.add(request.variable("N"));
          running.decrementAndGet();
          return 0;
        };
    try (TestImage host = host(slow);
        ExecutorService callers = Executors.newCachedThreadPool()) {
      List<Future<HostClient.Reply>> replies = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        Map<String, String> environment =
            Map.of("CNI_CONTAINERID", "c", "CNI_IFNAME", "eth0", "N", "" + i);
        replies.add(callers.submit(() -> host.call(environment, "bridge")));
        TestImage.pause(15);
      }
      for (Future<HostClient.Reply> reply : replies) {
        assertEquals(0, reply.get().status());
      }
      assertEquals(List.of("0", "1", "2", "3", "4", "5"), order);
      assertEquals(1, most.get());
      List<Callable<HostClient.Reply>> calls =
          Collections.nCopies(20, () -> host.call(Map.of("N", "x"), "bridge"));
      for (Future<HostClient.Reply> reply : callers.invokeAll(calls)) {
        assertEquals(0, reply.get().status());
      }
      assertEquals(2, most.get(), "the bound on running calls");
    }
  }

  /** An executable that runs for a call makes another one, while all places are taken. */
  @Test
  void nestedCallsDoNotWaitForTheOnesThatWaitForThem() throws Exception {
    var host = new TestImage[1];
    RequestHandler nesting =
        (request, out, err) -> {
          if (request.name().equals("inner")) {
            return 3;
          }
          try {
            return host[0]
                .call(Map.of(CallerRequest.NESTED_VARIABLE, "1", "CNI_CONTAINERID", "c"), "inner")
                .status();
          } catch (IOException e) {
            throw new IllegalStateException(e);
          }
        };
    try (TestImage only = new TestImage(directory, 1, Duration.ofMillis(100), nesting)) {
      host[0] = only;
      assertEquals(3, only.call(Map.of("CNI_CONTAINERID", "c"), "outer").status());
    }
  }

  /** Code that consumes an interrupt does not keep the call from ending. */
  @Test
  void callIsInterruptedRepeatedlyWhenItsCallerGoes() throws Exception {
    var begun = new CountDownLatch(1);
    var interrupted = new CountDownLatch(3);
    RequestHandler sleeping =
        (request, out, err) -> {
          begun.countDown();
          while (interrupted.getCount() > 0) {
            try {
              Thread.sleep(60_000);
            } catch (InterruptedException e) {
              interrupted.countDown();
            }
          }
          return 0;
        };
    try (TestImage host = host(sleeping)) {
      try (ExecutorService caller = Executors.newSingleThreadExecutor()) {
        Future<?> reply =
            caller.submit(
                () ->
                    assertThrows(
                        IOException.class,
                        () ->
                            HostClient.call(
                                host.socket,
                                host.image,
                                List.of("bridge"),
                                Map.of(),
                                new byte[0],
                                Duration.ofMillis(300))));
        assertTrue(begun.await(10, TimeUnit.SECONDS));
        reply.get();
      }
      assertTrue(interrupted.await(10, TimeUnit.SECONDS), "the call goes on without its caller");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void stopWaitsForCallsThenInterruptsThem(boolean quick) throws Exception {
    var begun = new CountDownLatch(1);
    RequestHandler working =
        (request, out, err) -> {
          begun.countDown();
          try {
            Thread.sleep(quick ? 500 : 60_000);
            return 0;
          } catch (InterruptedException e) {
            return 11;
          }
        };
    Duration drain = quick ? Duration.ofSeconds(30) : Duration.ofMillis(50);
    TestImage host = new TestImage(directory, 2, drain, working);
    try (ExecutorService caller = Executors.newSingleThreadExecutor()) {
      Future<HostClient.Reply> reply = caller.submit(() -> host.call(Map.of(), "bridge"));
      assertTrue(begun.await(10, TimeUnit.SECONDS));
      Thread stopping = Thread.ofPlatform().start(host.server::stop);
      while (!host.server.status().draining()) {
        TestImage.pause(5);
      }
      HostClient.Reply late = quick ? host.call(Map.of(), "bridge") : reply.get();
      assertEquals(quick, late.refusal().contains("about to end"), late::refusal);
      assertEquals(quick ? 0 : 11, reply.get().status());
      stopping.join();
      assertFalse(stopping.isAlive());
    }
    host.close();
  }
}
