// SPDX-License-Identifier: Apache-2.0
package cni.testing;

import static java.util.Objects.requireNonNull;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.Verb;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;

/**
 * A plugin for unit tests of programs that embed the library: records its calls, answers ADD with a
 * given result and fails where the test says so. It touches neither the kernel nor files, so that
 * its tests need neither root nor network namespaces.
 *
 * <pre>{@code
 * FakePlugin fake = FakePlugin.ofType("bridge").withResult(result);
 * try (Cni cni = Cni.builder().plugins(fake).networks(networks).cache(cache).build()) {
 *   program.attachWith(cni);
 * }
 * assertEquals(List.of(Verb.ADD), fake.verbs());
 * }</pre>
 *
 * <p>Instances are safe for use by multiple threads. Methods that script the plugin return the
 * plugin itself and apply to later calls.
 */
public final class FakePlugin implements NetworkPlugin {
  private final String type;
  private final List<Call> calls = new ArrayList<>();
  private final Map<Verb, Queue<CniException>> failures = new EnumMap<>(Verb.class);
  private Set<SpecVersion> versions = Set.copyOf(SpecVersion.ALL);
  private Optional<Result> result = Optional.empty();

  private FakePlugin(String type) {
    this.type = requireNonNull(type, "type");
  }

  /**
   * A call of the plugin, whether it succeeded or failed.
   *
   * @param verb the operation
   * @param request what the runtime passed: an {@link AttachmentRequest} for ADD, CHECK and DEL, a
   *     {@link GcRequest} for GC, a {@link NetworkRequest} for STATUS
   */
  public record Call(Verb verb, PluginRequest request) {
    /**
     * Returns the request of ADD, CHECK or DEL.
     *
     * @throws ClassCastException if this is another call
     */
    public AttachmentRequest attachmentRequest() {
      return (AttachmentRequest) request;
    }
  }

  /** Returns a plugin that succeeds and supports all versions of the specification. */
  public static FakePlugin ofType(String type) {
    return new FakePlugin(type);
  }

  /**
   * Sets the result of ADD. By default ADD returns the previous result, or, as the first plugin of
   * a chain, a result that lists the attachment's interface, without addresses.
   */
  public synchronized FakePlugin withResult(Result added) {
    result = Optional.of(added);
    return this;
  }

  /** Sets the versions of the specification that the plugin supports; by default all. */
  public synchronized FakePlugin withVersions(SpecVersion... supported) {
    versions = Set.of(supported);
    return this;
  }

  /**
   * Makes the next call of a verb fail, the one after that if this method is called twice, and so
   * on. Calls beyond them succeed.
   */
  public synchronized FakePlugin failNext(Verb verb, CniException failure) {
    requireNonNull(failure, "failure");
    failures.computeIfAbsent(verb, _ -> new ArrayDeque<>()).add(failure);
    return this;
  }

  /** Returns all calls so far, in order. */
  public synchronized List<Call> calls() {
    return List.copyOf(calls);
  }

  /** Returns the verbs of all calls so far, in order. */
  public synchronized List<Verb> verbs() {
    return calls.stream().map(Call::verb).toList();
  }

  /**
   * Returns the last call of a verb.
   *
   * @throws IllegalStateException if there is none; the message lists the calls
   */
  public synchronized Call lastCall(Verb verb) {
    for (Call call : calls.reversed()) {
      if (call.verb() == verb) {
        return call;
      }
    }
    throw new IllegalStateException(type + " was not called with " + verb + "; calls: " + verbs());
  }

  @Override
  public String type() {
    return type;
  }

  @Override
  public synchronized Set<SpecVersion> versions() {
    return versions;
  }

  @Override
  public synchronized Result add(AttachmentRequest request) throws CniException {
    record(Verb.ADD, request);
    return result.or(request::prevResult).orElseGet(() -> interfaceOf(request));
  }

  private static Result interfaceOf(AttachmentRequest request) {
    var created =
        new Result.Interface(
            request.attachment().interfaceName(), "", 0, request.attachment().sandbox());
    return Result.EMPTY.withInterfaces(List.of(created));
  }

  @Override
  public synchronized void check(AttachmentRequest request) throws CniException {
    record(Verb.CHECK, request);
  }

  @Override
  public synchronized void delete(AttachmentRequest request) throws CniException {
    record(Verb.DEL, request);
  }

  @Override
  public synchronized void gc(GcRequest request) throws CniException {
    record(Verb.GC, request);
  }

  @Override
  public synchronized void status(NetworkRequest request) throws CniException {
    record(Verb.STATUS, request);
  }

  private void record(Verb verb, PluginRequest request) throws CniException {
    calls.add(new Call(verb, request));
    Queue<CniException> scripted = failures.get(verb);
    CniException failure = scripted == null ? null : scripted.poll();
    if (failure != null) {
      throw failure;
    }
  }
}
