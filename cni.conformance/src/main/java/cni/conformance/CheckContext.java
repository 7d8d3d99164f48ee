// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.CheckHost.Container;
import cni.conformance.PluginUnderTest.Response;
import cni.testing.NetNsSnapshot;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import tools.jackson.databind.node.ObjectNode;

/** The context of one check: its test bed, and the operations that checks are written with. */
final class CheckContext {
  /** Time for asynchronous work of the kernel, such as the deletion of a namespace's links. */
  private static final Duration SETTLE_TIMEOUT = Duration.ofSeconds(3);

  private static final long POLL_MILLIS = 50;

  private final CheckHost checkHost;
  private final List<SpecVersion> supported;
  private final Map<Container, ObjectNode> results = new HashMap<>();
  private final List<Container> containers = new ArrayList<>();
  private final ObjectNode exampleResult;
  private final NetNsSnapshot baseline;
  private boolean tampered;

  private CheckContext(
      CheckHost checkHost,
      List<SpecVersion> supported,
      ObjectNode exampleResult,
      NetNsSnapshot baseline) {
    this.checkHost = checkHost;
    this.supported = supported;
    this.exampleResult = exampleResult;
    this.baseline = baseline;
  }

  /**
   * Creates a context. A first container is attached and removed before the baseline is recorded,
   * so that the baseline includes what a plugin leaves on purpose, such as a bridge.
   *
   * @param supported the versions that the plugin supports, oldest first
   */
  static CheckContext create(CheckHost checkHost, List<SpecVersion> supported)
      throws CniException, IOException {
    Container first = checkHost.createContainer();
    Response added = checkHost.call(checkHost.request(Verb.ADD, first, Optional.empty()));
    Optional<ObjectNode> result =
        added.succeeded() ? parseObject(added.stdout()) : Optional.empty();
    checkHost.cleanUp(first, result);
    checkHost.deleteContainer(first);
    return new CheckContext(
        checkHost, supported, result.orElseGet(Json::object), settledState(checkHost));
  }

  /** Returns a context for another check on the same host, which must be as at the baseline. */
  CheckContext next() {
    return new CheckContext(checkHost, supported, exampleResult, baseline);
  }

  /**
   * Deletes the containers of the check.
   *
   * @return whether the host is then as it was before the check
   */
  boolean restoreBaseline() throws IOException {
    for (Container container : containers) {
      checkHost.deleteContainer(container);
    }
    return checkHost.hasNoScripts()
        && leftovers().isEmpty()
        && baseline.minus(checkHost.hostState()).isEmpty();
  }

  /** Returns the host's state once two consecutive looks are equal. */
  private static NetNsSnapshot settledState(CheckHost checkHost) throws IOException {
    NetNsSnapshot before = checkHost.hostState();
    for (long end = System.nanoTime() + SETTLE_TIMEOUT.toNanos(); System.nanoTime() < end; ) {
      pause();
      NetNsSnapshot now = checkHost.hostState();
      if (now.equals(before)) {
        return now;
      }
      before = now;
    }
    return before;
  }

  static void pause() {
    try {
      Thread.sleep(POLL_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  CheckHost checkHost() {
    return checkHost;
  }

  SubjectConfig subjectConfig() {
    return checkHost.subjectConfig();
  }

  List<SpecVersion> supported() {
    return supported;
  }

  /** Returns the result of the first container, which has been removed. */
  ObjectNode exampleResult() {
    return exampleResult;
  }

  /** Returns the state of the host before the check. */
  NetNsSnapshot baseline() {
    return baseline;
  }

  /** Declares that the check changes what the plugin made, so that leaks are not its fault. */
  void markTampered() {
    tampered = true;
  }

  boolean isTampered() {
    return tampered;
  }

  /** Skips the check unless the condition holds. */
  void assume(boolean condition, String reason) throws NotApplicable {
    if (!condition) {
      throw new NotApplicable(reason);
    }
  }

  void assumeVersion(SpecVersion since) throws NotApplicable {
    assume(
        checkHost.version().atLeast(since),
        "the plugin supports "
            + checkHost.version()
            + " at most; this requirement exists since "
            + since);
  }

  void require(boolean condition, String observed) throws CheckFailure {
    if (!condition) {
      throw new CheckFailure(observed);
    }
  }

  Container createContainer() throws IOException {
    Container container = checkHost.createContainer();
    containers.add(container);
    return container;
  }

  ExecRequest addRequest(Container container) {
    return checkHost.request(Verb.ADD, container, Optional.empty());
  }

  ExecRequest checkRequest(Container container) {
    return checkHost.request(Verb.CHECK, container, Optional.ofNullable(results.get(container)));
  }

  ExecRequest deleteRequest(Container container) {
    return checkHost.request(Verb.DEL, container, Optional.ofNullable(results.get(container)));
  }

  Response call(ExecRequest request) throws CniException {
    return checkHost.call(request);
  }

  /** Requires that a call succeeds. */
  Response requireSuccess(ExecRequest request, String when) throws CheckFailure, CniException {
    Response response = call(request);
    require(response.succeeded(), verb(request) + " " + when + " " + response.describe());
    return response;
  }

  /** Requires that a call fails with a well-formed error object, and returns it. */
  ObjectNode requireFailure(ExecRequest request, String when) throws CheckFailure, CniException {
    Response response = call(request);
    require(!response.succeeded(), verb(request) + " " + when + " succeeded");
    require(
        response.exitStatus() > 0,
        verb(request) + " " + when + " " + response.describe() + ", instead of failing");
    return error(response, verb(request) + " " + when);
  }

  private static String verb(ExecRequest request) {
    return request.environment().getOrDefault("CNI_COMMAND", "the call");
  }

  private ObjectNode error(Response response, String what) throws CheckFailure {
    ObjectNode error =
        parseObject(response.stdout())
            .orElseThrow(
                () ->
                    new CheckFailure(
                        what + " failed without an error in JSON: " + response.describe()));
    require(
        error.path("code").isIntegralNumber() && error.path("msg").isString(),
        what + " failed with a malformed error: " + error);
    return error;
  }

  /** Requires that a call fails with the given code. */
  void requireErrorCode(int code, ExecRequest request, String when)
      throws CheckFailure, CniException {
    ObjectNode error = requireFailure(request, when);
    require(
        error.path("code").asInt() == code,
        verb(request) + " " + when + " failed with code " + error.path("code") + ": " + error);
  }

  /** Attaches a container and records the result. */
  ObjectNode attach(Container container) throws CheckFailure, CniException {
    ObjectNode result = parseResult(requireSuccess(addRequest(container), "of a container"), "ADD");
    results.put(container, result);
    if (!containers.contains(container)) {
      containers.add(container);
    }
    return result;
  }

  /** Returns the recorded result of a container's ADD. */
  ObjectNode resultOf(Container container) {
    return Objects.requireNonNull(results.get(container));
  }

  /** Records the result of an ADD that was called otherwise. */
  void recordResult(Container container, ObjectNode result) {
    results.put(container, result);
  }

  void detach(Container container) throws CheckFailure, CniException {
    requireSuccess(deleteRequest(container), "of a container");
    results.remove(container);
  }

  /** Parses the object that a call printed. */
  ObjectNode parseResult(Response response, String what) throws CheckFailure {
    return parseObject(response.stdout())
        .orElseThrow(
            () -> new CheckFailure(what + " printed no JSON object: " + response.describe()));
  }

  Result readResult(ObjectNode result) throws CheckFailure {
    try {
      return ResultJson.read(result, checkHost.version());
    } catch (CniException e) {
      throw new CheckFailure("the result is malformed: " + e.getMessage() + ": " + result);
    }
  }

  static Optional<ObjectNode> parseObject(String text) {
    try {
      return Optional.of(Json.parse(text, "output"));
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** Requires that the host's state equals the baseline. */
  void requireBaseline(String when) throws CheckFailure, IOException {
    NetNsSnapshot left = leftovers();
    NetNsSnapshot missing = baseline.minus(checkHost.hostState());
    require(
        left.isEmpty() && missing.isEmpty(),
        when + ", left over: [" + left + "]; missing: [" + missing + "]");
  }

  /** Returns what the host has beyond the baseline, after waiting for it to vanish. */
  NetNsSnapshot leftovers() throws IOException {
    NetNsSnapshot left = newState();
    for (long end = System.nanoTime() + SETTLE_TIMEOUT.toNanos();
        !left.isEmpty() && System.nanoTime() < end; ) {
      pause();
      left = newState();
    }
    return left;
  }

  /** Returns what the host has beyond the baseline, without the kit's own veths. */
  private NetNsSnapshot newState() throws IOException {
    NetNsSnapshot added = checkHost.hostState().minus(baseline);
    added.lines().removeIf(line -> line.startsWith("link kit"));
    return added;
  }

  /** Detaches the containers of the check. */
  void cleanUp() throws CniException {
    for (Container container : containers) {
      checkHost.cleanUp(container, Optional.ofNullable(results.get(container)));
    }
  }
}
