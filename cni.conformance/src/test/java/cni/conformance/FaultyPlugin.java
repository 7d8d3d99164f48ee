// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import tools.jackson.databind.node.ObjectNode;

/** A plugin that conforms except for one fault. */
final class FaultyPlugin implements PluginUnderTest {
  private final PluginUnderTest delegate;
  private final Fault fault;
  private final boolean inProcess;
  private final Map<String, Call> attached = new ConcurrentHashMap<>();
  private final Map<String, ObjectNode> results = new ConcurrentHashMap<>();
  private final Map<String, Integer> deletions = new ConcurrentHashMap<>();

  /** Creates a plugin whose descriptors are not counted, since tests run concurrently. */
  FaultyPlugin(PluginUnderTest sound, Fault fault) {
    this(sound, fault, false);
  }

  FaultyPlugin(PluginUnderTest sound, Fault fault, boolean inProcess) {
    this.delegate = sound;
    this.fault = fault;
    this.inProcess = inProcess;
  }

  @Override
  public boolean isInProcess() {
    return inProcess;
  }

  /** A deviation from the delegate's correct behaviour. */
  @FunctionalInterface
  interface Fault {
    Response answer(FaultyPlugin plugin, Call call) throws CniException, IOException;
  }

  /**
   * A call of the plugin.
   *
   * @param environment the CNI_* variables
   * @param input the standard input
   * @param host the path of the host's network namespace
   */
  record Call(Map<String, String> environment, String input, Path host) {
    String get(String variable) {
      return environment.getOrDefault(variable, "");
    }

    boolean is(String command) {
      return get("CNI_COMMAND").equals(command);
    }

    boolean has(String variable) {
      return environment.containsKey(variable);
    }

    /** Returns whether the call names an attachment. */
    boolean namesAttachment() {
      return has("CNI_CONTAINERID") && has("CNI_IFNAME");
    }

    /** Returns whether the call names a namespace that does not exist. */
    boolean namesMissingNamespace() {
      return has("CNI_NETNS") && !Files.exists(Path.of(get("CNI_NETNS")));
    }

    /** Returns the configuration; an empty object if the input is malformed. */
    ObjectNode config() {
      try {
        return Json.parse(input, "input");
      } catch (CniException e) {
        return Json.object();
      }
    }

    boolean delegatesToKit() {
      return config().path("ipam").path("type").asString("").equals("kit-ipam");
    }

    /** Returns the directory of the kit's IPAM delegate. */
    Path bin() {
      return Path.of(get("CNI_PATH").split(":", -1)[0]);
    }

    String key() {
      return get("CNI_CONTAINERID") + " " + get("CNI_IFNAME");
    }

    Call with(String variable, String value) {
      Map<String, String> changed = new TreeMap<>(environment);
      changed.put(variable, value);
      return new Call(changed, input, host);
    }

    Call with(ObjectNode config) {
      return new Call(environment, config.toString(), host);
    }
  }

  static Response success(String output) {
    return new Response(0, output, "");
  }

  static Response failure(int code) {
    return new Response(
        1,
        "{ \"cniVersion\": \"1.1.0\", \"code\": " + code + ", \"msg\": \"requested fault\" }",
        "");
  }

  static Response crash() {
    return new Response(2, "", "panic: requested fault");
  }

  @Override
  public String describe() {
    return "faulty " + delegate.describe();
  }

  @Override
  public Response call(Map<String, String> environment, byte[] input, Path hostNamespace)
      throws CniException {
    var call = new Call(environment, new String(input, StandardCharsets.UTF_8), hostNamespace);
    try {
      return fault.answer(this, call);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Passes the call on and records attachments. */
  Response answerCorrectly(Call call) throws CniException {
    Response response =
        delegate.call(
            call.environment(), call.input().getBytes(StandardCharsets.UTF_8), call.host());
    if (response.succeeded() && call.is("ADD")) {
      attached.put(call.key(), call);
      deletions.remove(call.key());
      CheckContext.parseObject(response.stdout())
          .ifPresent(result -> results.put(call.key(), result));
    }
    if (response.succeeded() && call.is("DEL")) {
      attached.remove(call.key());
      deletions.merge(call.key(), 1, Integer::sum);
    }
    return response;
  }

  /** Returns the ADD calls of the present attachments. */
  Collection<Call> attached() {
    return attached.values();
  }

  boolean isAttached(Call call) {
    return attached.containsKey(call.key());
  }

  boolean wasAttached(Call call) {
    return results.containsKey(call.key());
  }

  int deletions(Call call) {
    return deletions.getOrDefault(call.key(), 0);
  }

  /** Returns the true result of an ADD. */
  Optional<ObjectNode> result(Call call) {
    return Optional.ofNullable(results.get(call.key()));
  }

  /** A change of a result. */
  interface ResultChange {
    void apply(ObjectNode result, Call call);
  }

  /** Behaves correctly, but changes the result of ADD. */
  static Fault withChangedResult(ResultChange change) {
    return (plugin, call) -> {
      ObjectNode config = call.config();
      Call correctCall = call;
      if (config.has("prevResult") && !call.is("ADD") && plugin.result(call).isPresent()) {
        correctCall = call.with(config.set("prevResult", plugin.result(call).get()));
      }
      Response response = plugin.answerCorrectly(correctCall);
      if (!call.is("ADD") || !response.succeeded()) {
        return response;
      }
      ObjectNode result = plugin.result(call).orElseThrow().deepCopy();
      if (result.has("ips")) { // not a result of a version before 0.3.0
        change.apply(result, call);
      }
      return success(result.toString());
    };
  }
}
