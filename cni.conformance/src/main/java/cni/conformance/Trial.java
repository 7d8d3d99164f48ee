package cni.conformance;

import cni.api.CniException;
import cni.api.Json;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.Stage.Container;
import cni.conformance.Subject.Answer;
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
final class Trial {
  /** What the kernel does by itself, such as emptying a namespace, takes a moment. */
  private static final Duration SETTLING = Duration.ofSeconds(3);

  private static final long PAUSE_MILLIS = 50;

  private final Stage stage;
  private final List<SpecVersion> supported;
  private final Map<Container, ObjectNode> attached = new HashMap<>();
  private final List<Container> touched = new ArrayList<>();
  private final ObjectNode example;
  private final State baseline;
  private boolean tampered;

  private Trial(Stage stage, List<SpecVersion> supported, ObjectNode example, State baseline) {
    this.stage = stage;
    this.supported = supported;
    this.example = example;
    this.baseline = baseline;
  }

  /**
   * Begins one. What a plugin leaves on purpose for the next container, such as a bridge, is there
   * before: one has come and gone.
   *
   * @param supported what the plugin says that it supports, oldest first
   */
  static Trial begin(Stage stage, List<SpecVersion> supported) throws CniException, IOException {
    Container first = stage.container();
    Answer added = stage.call(stage.request(Verb.ADD, first, Optional.empty()));
    Optional<ObjectNode> result = added.succeeded() ? parse(added.output()) : Optional.empty();
    stage.cleanUp(first, result);
    stage.end(first);
    return new Trial(stage, supported, result.orElseGet(Json::object), settled(stage));
  }

  /** Two looks that see the same. */
  private static State settled(Stage stage) throws IOException {
    State before = stage.hostState();
    for (long end = System.nanoTime() + SETTLING.toNanos(); System.nanoTime() < end; ) {
      pause();
      State now = stage.hostState();
      if (now.equals(before)) {
        return now;
      }
      before = now;
    }
    return before;
  }

  static void pause() {
    try {
      Thread.sleep(PAUSE_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  Stage stage() {
    return stage;
  }

  Setting setting() {
    return stage.setting();
  }

  List<SpecVersion> supported() {
    return supported;
  }

  /** The result that the first container had, which is gone again. */
  ObjectNode example() {
    return example;
  }

  /** What the host was like before. */
  State baseline() {
    return baseline;
  }

  /** Says that the check changes what the plugin has made, which it need not take back then. */
  void tamper() {
    tampered = true;
  }

  boolean isTampered() {
    return tampered;
  }

  /** A check that only says something if that holds. */
  void onlyIf(boolean condition, String otherwise) throws NotApplicable {
    if (!condition) {
      throw new NotApplicable(otherwise);
    }
  }

  void onlySince(SpecVersion since) throws NotApplicable {
    onlyIf(
        stage.version().atLeast(since),
        "the plugin supports " + stage.version() + " at most, and this exists since " + since);
  }

  void require(boolean condition, String seen) throws CheckFailure {
    if (!condition) {
      throw new CheckFailure(seen);
    }
  }

  Container container() throws IOException {
    Container container = stage.container();
    touched.add(container);
    return container;
  }

  Request add(Container container) {
    return stage.request(Verb.ADD, container, Optional.empty());
  }

  Request check(Container container) {
    return stage.request(Verb.CHECK, container, Optional.ofNullable(attached.get(container)));
  }

  Request delete(Container container) {
    return stage.request(Verb.DEL, container, Optional.ofNullable(attached.get(container)));
  }

  Answer call(Request request) throws CniException {
    return stage.call(request);
  }

  /** Has a call succeed. */
  Answer succeed(Request request, String when) throws CheckFailure, CniException {
    Answer answer = call(request);
    require(answer.succeeded(), verb(request) + " " + when + " " + answer.describe());
    return answer;
  }

  /** Has a call fail, with an error that is one. */
  ObjectNode fail(Request request, String when) throws CheckFailure, CniException {
    Answer answer = call(request);
    require(!answer.succeeded(), verb(request) + " " + when + " succeeded");
    require(
        answer.status() > 0,
        verb(request) + " " + when + " " + answer.describe() + ", instead of failing");
    return error(answer, verb(request) + " " + when);
  }

  private static String verb(Request request) {
    return request.environment().getOrDefault("CNI_COMMAND", "the call");
  }

  private ObjectNode error(Answer answer, String what) throws CheckFailure {
    ObjectNode error =
        parse(answer.output())
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
  void failWith(int code, Request request, String when) throws CheckFailure, CniException {
    ObjectNode error = fail(request, when);
    require(
        error.path("code").asInt() == code,
        verb(request) + " " + when + " failed with code " + error.path("code") + ": " + error);
  }

  /** Attaches a container and remembers the result. */
  ObjectNode attach(Container container) throws CheckFailure, CniException {
    ObjectNode result = result(succeed(add(container), "of a container"), "ADD");
    attached.put(container, result);
    if (!touched.contains(container)) {
      touched.add(container);
    }
    return result;
  }

  /** The result of a container's ADD. */
  ObjectNode attached(Container container) {
    return Objects.requireNonNull(attached.get(container));
  }

  /** Takes an ADD for done, whoever called it. */
  void remember(Container container, ObjectNode result) {
    attached.put(container, result);
  }

  void detach(Container container) throws CheckFailure, CniException {
    succeed(delete(container), "of a container");
    attached.remove(container);
  }

  /** The object that a call printed. */
  ObjectNode result(Answer answer, String what) throws CheckFailure {
    return parse(answer.output())
        .orElseThrow(
            () -> new CheckFailure(what + " printed no JSON object: " + answer.describe()));
  }

  Result read(ObjectNode result) throws CheckFailure {
    try {
      return ResultJson.read(result, stage.version());
    } catch (CniException e) {
      throw new CheckFailure("the result is none: " + e.getMessage() + ": " + result);
    }
  }

  static Optional<ObjectNode> parse(String text) {
    try {
      return Optional.of(Json.parse(text, "output"));
    } catch (CniException e) {
      return Optional.empty();
    }
  }

  /** What there is on the host that was not there before, and the other way round. */
  void requireBaseline(String when) throws CheckFailure, IOException {
    State more = leftOver();
    State missing = baseline.minus(stage.hostState());
    require(
        more.isEmpty() && missing.isEmpty(),
        when + ", left over: [" + more + "]; missing: [" + missing + "]");
  }

  /** What is on the host that was not before, once everything has been taken back. */
  State leftOver() throws IOException {
    State left = more();
    for (long end = System.nanoTime() + SETTLING.toNanos();
        !left.isEmpty() && System.nanoTime() < end; ) {
      pause();
      left = more();
    }
    return left;
  }

  /** Without the ports that the kit itself has made for a chained plugin. */
  private State more() throws IOException {
    State more = stage.hostState().minus(baseline);
    more.lines().removeIf(line -> line.startsWith("link kit"));
    return more;
  }

  /** Takes back whatever the check has left. */
  void cleanUp() throws CniException {
    for (Container container : touched) {
      stage.cleanUp(container, Optional.ofNullable(attached.get(container)));
    }
  }
}
