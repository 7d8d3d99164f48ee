// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.SpecVersion;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A plugin that records its calls and behaves as its configuration says for each verb: {@code
 * "ADD": "fail"}, {@code "throw"} (an unexpected exception) or {@code "slow"}.
 */
public abstract class FakePlugin implements NetworkPlugin {
  /** The calls of all instances, in order, as "VERB type prevResult". */
  static final List<String> CALLS = Collections.synchronizedList(new ArrayList<>());

  /** Runs in each call, after it has been recorded. */
  static volatile Runnable onCall = () -> {};

  private final String type;

  FakePlugin(String type) {
    this.type = type;
  }

  /** The plugin of type {@code first}. */
  public static final class First extends FakePlugin {
    /** Called by ServiceLoader. */
    public First() {
      super("first");
    }
  }

  /** The plugin of type {@code second}. */
  public static final class Second extends FakePlugin {
    /** Called by ServiceLoader. */
    public Second() {
      super("second");
    }
  }

  @Override
  public String type() {
    return type;
  }

  @Override
  public Set<SpecVersion> versions() {
    Set<SpecVersion> versions = new HashSet<>(SpecVersion.ALL);
    versions.remove(SpecVersion.V0_3_0);
    return versions;
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    call("ADD", request);
    List<Result.Interface> interfaces =
        new ArrayList<>(request.prevResult().orElse(Result.EMPTY).interfaces());
    interfaces.add(new Result.Interface(type, "", 0, ""));
    return Result.EMPTY.withInterfaces(interfaces);
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    call("CHECK", request);
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    call("DEL", request);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    CALLS.add(
        "GC "
            + type
            + " "
            + request.valid().stream().map(AttachmentId::containerId).sorted().toList());
    obey("GC", request);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    CALLS.add("STATUS " + type);
    obey("STATUS", request);
  }

  private void call(String verb, AttachmentRequest request) throws CniException {
    Optional<Result> previous = request.prevResult();
    List<String> names =
        previous.orElse(Result.EMPTY).interfaces().stream().map(Result.Interface::name).toList();
    CALLS.add(verb + " " + type + (previous.isEmpty() ? "" : " " + names));
    obey(verb, request);
  }

  private static void obey(String verb, PluginRequest request) throws CniException {
    onCall.run();
    switch (request.config().view().text(verb).orElse("")) {
      case "fail" -> throw new CniException(107, "as configured", "details", null);
      case "throw" -> throw new IllegalStateException("oops");
      case "slow" -> sleep();
      default -> {}
    }
    request.context().deadline().check(verb);
  }

  private static void sleep() throws CniException {
    try {
      Thread.sleep(300);
    } catch (InterruptedException e) {
      throw new CniException(ErrorCode.TRY_AGAIN_LATER, "interrupted", e);
    }
  }
}
