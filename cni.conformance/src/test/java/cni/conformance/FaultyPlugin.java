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

/** A plugin that does everything right but one thing. */
final class FaultyPlugin implements PluginUnderTest {
  private final PluginUnderTest delegate;
  private final Fault fault;
  private final boolean inProcess;
  private final Map<String, Call> attached = new ConcurrentHashMap<>();
  private final Map<String, ObjectNode> results = new ConcurrentHashMap<>();
  private final Map<String, Integer> deletions = new ConcurrentHashMap<>();

  /** What it leaves open is not counted, as others run in this process at the same time. */
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

  /** What is wrong with it. */
  @FunctionalInterface
  interface Fault {
    Response answer(FaultyPlugin subject, Call call) throws CniException, IOException;
  }

  /**
   * A call that it has to answer.
   *
   * @param input as text
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

    /** Whether it says which attachment it is about. */
    boolean namesAttachment() {
      return has("CNI_CONTAINERID") && has("CNI_IFNAME");
    }

    /** Whether it names a namespace that does not exist. */
    boolean namesMissingNamespace() {
      return has("CNI_NETNS") && !Files.exists(Path.of(get("CNI_NETNS")));
    }

    /** The configuration; empty if the input is none. */
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

    /** The directory of the kit's own delegate. */
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
        "{ \"cniVersion\": \"1.1.0\", \"code\": " + code + ", \"msg\": \"as the fault has it\" }",
        "");
  }

  static Response crash() {
    return new Response(2, "", "panic: as the fault has it");
  }

  @Override
  public String describe() {
    return "a faulty " + delegate.describe();
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

  /** Does it right. */
  Response answerCorrectly(Call call) throws CniException {
    Response answer =
        delegate.call(
            call.environment(), call.input().getBytes(StandardCharsets.UTF_8), call.host());
    if (answer.succeeded() && call.is("ADD")) {
      attached.put(call.key(), call);
      deletions.remove(call.key());
      CheckContext.parseObject(answer.stdout())
          .ifPresent(result -> results.put(call.key(), result));
    }
    if (answer.succeeded() && call.is("DEL")) {
      attached.remove(call.key());
      deletions.merge(call.key(), 1, Integer::sum);
    }
    return answer;
  }

  /** The calls that made what is attached now. */
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

  /** The true result of an ADD. */
  Optional<ObjectNode> result(Call call) {
    return Optional.ofNullable(results.get(call.key()));
  }

  /** Changes a result. */
  interface ResultChange {
    void apply(ObjectNode result, Call call);
  }

  /** Does it right, and says something else in the result of ADD. */
  static Fault withChangedResult(ResultChange lie) {
    return (subject, call) -> {
      ObjectNode config = call.config();
      Call honest = call;
      if (config.has("prevResult") && !call.is("ADD") && subject.result(call).isPresent()) {
        honest = call.with(config.set("prevResult", subject.result(call).get()));
      }
      Response answer = subject.answerCorrectly(honest);
      if (!call.is("ADD") || !answer.succeeded()) {
        return answer;
      }
      ObjectNode result = subject.result(call).orElseThrow().deepCopy();
      if (result.has("ips")) { // results of the first versions look different
        lie.apply(result, call);
      }
      return success(result.toString());
    };
  }
}
