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

/**
 * One check of one plugin on a stage of its own: what the bodies of requirements are written in.
 */
final class CheckContext {
  /** What the kernel does by itself, such as emptying a namespace, takes a moment. */
  private static final Duration SETTLE_TIMEOUT = Duration.ofSeconds(3);

  private static final long POLL_MILLIS = 50;

  private final CheckHost testBed;
  private final List<SpecVersion> supported;
  private final Map<Container, ObjectNode> resultOf = new HashMap<>();
  private final List<Container> containers = new ArrayList<>();
  private final ObjectNode exampleResult;
  private final NetNsSnapshot baseline;
  private boolean tampered;

  private CheckContext(
      CheckHost stage, List<SpecVersion> supported, ObjectNode example, NetNsSnapshot baseline) {
    this.testBed = stage;
    this.supported = supported;
    this.exampleResult = example;
    this.baseline = baseline;
  }

  /**
   * Begins one. What a plugin leaves on purpose for the next container, such as a bridge, is there
   * before: one has come and gone.
   *
   * @param supported what the plugin says that it supports, oldest first
   */
  static CheckContext create(CheckHost stage, List<SpecVersion> supported)
      throws CniException, IOException {
    Container first = stage.createContainer();
    Response added = stage.call(stage.request(Verb.ADD, first, Optional.empty()));
    Optional<ObjectNode> result =
        added.succeeded() ? parseObject(added.stdout()) : Optional.empty();
    stage.cleanUp(first, result);
    stage.deleteContainer(first);
    return new CheckContext(stage, supported, result.orElseGet(Json::object), settledState(stage));
  }

  /** Two looks that see the same. */
  private static NetNsSnapshot settledState(CheckHost stage) throws IOException {
    NetNsSnapshot before = stage.hostState();
    for (long end = System.nanoTime() + SETTLE_TIMEOUT.toNanos(); System.nanoTime() < end; ) {
      pause();
      NetNsSnapshot now = stage.hostState();
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

  CheckHost testBed() {
    return testBed;
  }

  SubjectConfig subjectConfig() {
    return testBed.subjectConfig();
  }

  List<SpecVersion> supported() {
    return supported;
  }

  /** The result that the first container had, which is gone again. */
  ObjectNode exampleResult() {
    return exampleResult;
  }

  /** What the host was like before. */
  NetNsSnapshot baseline() {
    return baseline;
  }

  /** Says that the check changes what the plugin has made, which it need not take back then. */
  void markTampered() {
    tampered = true;
  }

  boolean isTampered() {
    return tampered;
  }

  /** A check that only says something if that holds. */
  void assume(boolean condition, String otherwise) throws NotApplicable {
    if (!condition) {
      throw new NotApplicable(otherwise);
    }
  }

  void assumeVersion(SpecVersion since) throws NotApplicable {
    assume(
        testBed.version().atLeast(since),
        "the plugin supports " + testBed.version() + " at most, and this exists since " + since);
  }

  void require(boolean condition, String seen) throws CheckFailure {
    if (!condition) {
      throw new CheckFailure(seen);
    }
  }

  Container createContainer() throws IOException {
    Container container = testBed.createContainer();
    containers.add(container);
    return container;
  }

  ExecRequest addRequest(Container container) {
    return testBed.request(Verb.ADD, container, Optional.empty());
  }

  ExecRequest checkRequest(Container container) {
    return testBed.request(Verb.CHECK, container, Optional.ofNullable(resultOf.get(container)));
  }

  ExecRequest deleteRequest(Container container) {
    return testBed.request(Verb.DEL, container, Optional.ofNullable(resultOf.get(container)));
  }

  Response call(ExecRequest request) throws CniException {
    return testBed.call(request);
  }

  /** Has a call succeed. */
  Response requireSuccess(ExecRequest request, String when) throws CheckFailure, CniException {
    Response answer = call(request);
    require(answer.succeeded(), verb(request) + " " + when + " " + answer.describe());
    return answer;
  }

  /** Has a call fail, with an error that is one. */
  ObjectNode requireFailure(ExecRequest request, String when) throws CheckFailure, CniException {
    Response answer = call(request);
    require(!answer.succeeded(), verb(request) + " " + when + " succeeded");
    require(
        answer.exitStatus() > 0,
        verb(request) + " " + when + " " + answer.describe() + ", instead of failing");
    return error(answer, verb(request) + " " + when);
  }

  private static String verb(ExecRequest request) {
    return request.environment().getOrDefault("CNI_COMMAND", "the call");
  }

  private ObjectNode error(Response answer, String what) throws CheckFailure {
    ObjectNode error =
        parseObject(answer.stdout())
            .orElseThrow(
                () ->
                    new CheckFailure(
                        what + " failed without an error in JSON: " + answer.describe()));
    require(
        error.path("code").isIntegralNumber() && error.path("msg").isString(),
        what + " failed with what is no error: " + error);
    return error;
  }

  /** Has a call fail with a code. */
  void requireErrorCode(int code, ExecRequest request, String when)
      throws CheckFailure, CniException {
    ObjectNode error = requireFailure(request, when);
    require(
        error.path("code").asInt() == code,
        verb(request) + " " + when + " failed with code " + error.path("code") + ": " + error);
  }

  /** Attaches a container and remembers the result. */
  ObjectNode attach(Container container) throws CheckFailure, CniException {
    ObjectNode result = parseResult(requireSuccess(addRequest(container), "of a container"), "ADD");
    resultOf.put(container, result);
    if (!containers.contains(container)) {
      containers.add(container);
    }
    return result;
  }

  /** The result of a container's ADD. */
  ObjectNode resultOf(Container container) {
    return Objects.requireNonNull(resultOf.get(container));
  }

  /** Takes an ADD for done, whoever called it. */
  void recordResult(Container container, ObjectNode result) {
    resultOf.put(container, result);
  }

  void detach(Container container) throws CheckFailure, CniException {
    requireSuccess(deleteRequest(container), "of a container");
    resultOf.remove(container);
  }

  /** The object that a call printed. */
  ObjectNode parseResult(Response answer, String what) throws CheckFailure {
    return parseObject(answer.stdout())
        .orElseThrow(
            () -> new CheckFailure(what + " printed no JSON object: " + answer.describe()));
  }

  Result readResult(ObjectNode result) throws CheckFailure {
    try {
      return ResultJson.read(result, testBed.version());
    } catch (CniException e) {
      throw new CheckFailure("the result is none: " + e.getMessage() + ": " + result);
    }
  }

  static Optional<ObjectNode> parseObject(String text) {
    try {
      return Optional.of(Json.parse(text, "output"));
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** What there is on the host that was not there before, and the other way round. */
  void requireBaseline(String when) throws CheckFailure, IOException {
    NetNsSnapshot more = leftovers();
    NetNsSnapshot missing = baseline.minus(testBed.hostState());
    require(
        more.isEmpty() && missing.isEmpty(),
        when + ", left over: [" + more + "]; missing: [" + missing + "]");
  }

  /** What is on the host that was not before, once everything has been taken back. */
  NetNsSnapshot leftovers() throws IOException {
    NetNsSnapshot left = newState();
    for (long end = System.nanoTime() + SETTLE_TIMEOUT.toNanos();
        !left.isEmpty() && System.nanoTime() < end; ) {
      pause();
      left = newState();
    }
    return left;
  }

  /** Without the ports that the kit itself has made for a chained plugin. */
  private NetNsSnapshot newState() throws IOException {
    NetNsSnapshot more = testBed.hostState().minus(baseline);
    more.lines().removeIf(line -> line.startsWith("link kit"));
    return more;
  }

  /** Takes back whatever the check has left. */
  void cleanUp() throws CniException {
    for (Container container : containers) {
      testBed.cleanUp(container, Optional.ofNullable(resultOf.get(container)));
    }
  }
}
