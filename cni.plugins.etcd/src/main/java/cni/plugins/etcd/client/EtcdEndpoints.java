// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.internal.LazyLogger;
import java.io.InputStream;
import java.net.URI;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * Sends requests to a member of the cluster, and to the next one if it does not answer. The member
 * that has answered last is asked first; the first one is chosen at random, so that the processes
 * of many hosts spread over the members.
 */
final class EtcdEndpoints implements AutoCloseable {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  /** The pause after every endpoint has failed, in milliseconds. */
  private static final int MIN_PAUSE = 50;

  private static final int MAX_PAUSE = 200;

  private final EtcdOptions options;
  private final EtcdHttp http;
  private final AtomicInteger next;
  private final AtomicInteger failures = new AtomicInteger();

  private EtcdEndpoints(EtcdOptions options, EtcdHttp http) {
    this.options = options;
    this.http = http;
    next = new AtomicInteger(ThreadLocalRandom.current().nextInt(options.endpoints().size()));
  }

  static EtcdEndpoints create(EtcdOptions options) throws CniException {
    return new EtcdEndpoints(options, EtcdHttp.create(options));
  }

  /** A request that any endpoint can answer. */
  private interface Request<T> {
    T send(EtcdHttp.Attempt attempt) throws NoAnswerException, CniException, InterruptedException;
  }

  /** Sends a request and returns the response. */
  ObjectNode post(String path, ObjectNode body, Deadline deadline) throws CniException {
    return tryEach(deadline, attempt -> http.post(attempt, path, body));
  }

  /** Sends a request and returns the stream of responses, which the caller closes. */
  InputStream open(String path, ObjectNode body, Deadline deadline) throws CniException {
    return tryEach(deadline, attempt -> http.open(attempt, path, body));
  }

  /** Returns the number of attempts that have failed. */
  int failures() {
    return failures.get();
  }

  private <T> T tryEach(Deadline deadline, Request<T> request) throws CniException {
    Deadline limit = deadline.atMost(options.timeout());
    List<URI> all = options.endpoints();
    Map<URI, NoAnswerException> failed = new LinkedHashMap<>();
    try {
      for (int attempts = 1; ; attempts++) {
        int index = next.get();
        URI endpoint = all.get(index);
        Duration timeout = shorter(options.attemptTimeout(), share(limit, failed.size()));
        if (timeout.isZero()) {
          throw unreachable(failed);
        }
        try {
          return request.send(EtcdHttp.Attempt.start(endpoint, timeout));
        } catch (NoAnswerException e) {
          failures.incrementAndGet();
          LOG.get().log(System.Logger.Level.DEBUG, endpoint + " " + e.getMessage(), e);
          if (limit.remaining().isZero()) {
            failed.putIfAbsent(endpoint, e); // an attempt that was cut short says less
          } else {
            failed.put(endpoint, e);
          }
          next.compareAndSet(index, (index + 1) % all.size());
        }
        if (attempts % all.size() == 0) {
          if (isLasting(failed)) {
            throw unreachable(failed);
          }
          pause(limit);
        }
      }
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for etcd");
    }
  }

  /** Divides the time left between the endpoints that have not been asked yet. */
  private Duration share(Deadline limit, int asked) {
    return limit.remaining().dividedBy(Math.max(1, options.endpoints().size() - asked));
  }

  private static Duration shorter(Duration a, Duration b) {
    return a.compareTo(b) < 0 ? a : b;
  }

  private static void pause(Deadline limit) throws InterruptedException {
    long millis = ThreadLocalRandom.current().nextLong(MIN_PAUSE, MAX_PAUSE);
    Thread.sleep(Math.min(millis, limit.remaining().toMillis()));
  }

  private CniException unreachable(Map<URI, NoAnswerException> failed) {
    if (failed.isEmpty()) {
      return new CniException(
          ErrorCode.TRY_AGAIN_LATER,
          "the deadline passed before etcd (" + options.describeEndpoints() + ") was asked");
    }
    boolean isLasting = isLasting(failed);
    String reasons =
        options.endpoints().stream()
            .map(it -> it + " " + describe(failed.get(it)))
            .collect(Collectors.joining("; "));
    return new CniException(
        isLasting ? ErrorCode.INVALID_CONFIG : ErrorCode.TRY_AGAIN_LATER,
        (isLasting ? "etcd cannot be used: " : "etcd does not answer: ") + reasons,
        failed.values().iterator().next()); // the others are logged
  }

  /** Whether no endpoint can answer before the configuration has been changed. */
  private boolean isLasting(Map<URI, NoAnswerException> failed) {
    return options.endpoints().stream()
        .map(failed::get)
        .allMatch(it -> it != null && it.isLasting());
  }

  private static String describe(@Nullable NoAnswerException failure) {
    return failure == null ? "was not asked before the deadline" : failure.getMessage();
  }

  @Override
  public void close() {
    http.close();
  }
}
