package cni.conformance;

import static cni.conformance.FaultyPlugin.crash;
import static cni.conformance.FaultyPlugin.failure;
import static cni.conformance.FaultyPlugin.success;
import static cni.conformance.FaultyPlugin.withChangedResult;

import cni.conformance.FaultyPlugin.Call;
import cni.conformance.FaultyPlugin.Fault;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** For each check a fault that this check, and no other, is there to find. */
final class Faults {
  /** What must not go away before its time. */
  private static final List<AutoCloseable> HELD_OPEN =
      Collections.synchronizedList(new ArrayList<>());

  private Faults() {}

  /** Faults of interface plugins, tried on bridge. */
  static Map<String, Fault> ofInterfaces() {
    Map<String, Fault> faults = new LinkedHashMap<>();
    addProtocolFaults(faults);
    addAddFaults(faults);
    addDelGcFaults(faults);
    addCheckStatusFaults(faults);
    addDelegationFaults(faults);
    addMalformedInputFaults(faults);
    return faults;
  }

  /** Those that only chained plugins can have, tried on firewall. */
  static Map<String, Fault> ofChained() {
    return Map.of(
        "CHAIN-1",
        withChangedResult((result, call) -> result.remove("dns")),
        "CHAIN-2",
        withChangedResult((result, call) -> ips(result).forEach(ip -> ip.put("interface", 0))));
  }

  /** Those that only ipam plugins can have, tried on host-local. */
  static Map<String, Fault> ofIpam() {
    return Map.of(
        "IPAM-1",
        withChangedResult((result, call) -> result.remove("ips")),
        "IPAM-2",
        withChangedResult((result, call) -> ips(result).forEach(ip -> ip.put("interface", 0))));
  }

  private static List<ObjectNode> ips(ObjectNode result) {
    return result.path("ips").valueStream().map(ObjectNode.class::cast).toList();
  }

  private static void addProtocolFaults(Map<String, Fault> faults) {
    faults.put(
        "VERSION-1",
        (subject, call) ->
            call.is("VERSION")
                ? success("{ \"cniVersion\": \"1.1.0\" }")
                : subject.answerCorrectly(call));
    faults.put(
        "VERSION-2",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          return call.is("ADD") && answer.succeeded()
              ? success(answer.stdout().replace("\"0.4.0\"", "\"1.0.0\""))
              : answer;
        });
    faults.put(
        "VERSION-3",
        (subject, call) ->
            call.input().contains("\"99.0.0\"") ? failure(7) : subject.answerCorrectly(call));
    faults.put("PARAM-1", withoutRequiredVariable("CNI_CONTAINERID", "ADD", "CHECK", "DEL"));
    faults.put("PARAM-2", withoutRequiredVariable("CNI_NETNS", "ADD", "CHECK"));
    faults.put("PARAM-3", withoutRequiredVariable("CNI_IFNAME", "ADD", "CHECK", "DEL"));
    faults.put(
        "PARAM-4",
        (subject, call) -> call.is("FROBNICATE") ? success("{}") : subject.answerCorrectly(call));
    faults.put(
        "PARAM-5",
        (subject, call) -> subject.answerCorrectly(withSanitizedVariable(call, "CNI_CONTAINERID")));
    faults.put(
        "PARAM-6",
        (subject, call) -> subject.answerCorrectly(withSanitizedVariable(call, "CNI_IFNAME")));
    faults.put(
        "ERROR-1",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          return answer.succeeded()
              ? answer
              : new PluginUnderTest.Response(
                  answer.exitStatus(), answer.stdout().replace("cniVersion", "version"), "");
        });
    faults.put(
        "ERROR-2",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          return new PluginUnderTest.Response(
              answer.exitStatus(), answer.stdout().replaceAll("(\"code\" *: *)6", "$17"), "");
        });
  }

  /** Succeeds where a variable is missing that these commands need. */
  private static Fault withoutRequiredVariable(String variable, String... commands) {
    return (subject, call) ->
        !call.has(variable) && Stream.of(commands).anyMatch(call::is)
            ? success("{}")
            : subject.answerCorrectly(call);
  }

  private static Call withSanitizedVariable(Call call, String variable) {
    String value = call.get(variable).replaceAll("[^a-zA-Z0-9-]|^-+", "x");
    return call.has(variable) ? call.with(variable, truncate(value, variable)) : call;
  }

  private static String truncate(String value, String variable) {
    return variable.equals("CNI_IFNAME") && value.length() > 15 ? value.substring(0, 15) : value;
  }

  private static void addAddFaults(Map<String, Fault> faults) {
    faults.put(
        "ADD-1",
        withChangedResult(
            (result, call) ->
                result
                    .path("interfaces")
                    .forEach(
                        it -> {
                          if (it.path("name").asString("").equals(call.get("CNI_IFNAME"))) {
                            ((ObjectNode) it).put("sandbox", "/elsewhere");
                          }
                        })));
    faults.put(
        "ADD-2",
        withChangedResult((result, call) -> ips(result).forEach(ip -> ip.put("interface", 99))));
    faults.put(
        "ADD-3",
        withChangedResult(
            (result, call) ->
                result
                    .path("interfaces")
                    .forEach(it -> ((ObjectNode) it).put("mac", "02:00:00:00:00:01"))));
    faults.put(
        "ADD-4",
        withChangedResult(
            (result, call) -> {
              ObjectNode more = ips(result).getFirst().deepCopy();
              int number = call.key().hashCode() & 0xffff;
              more.put("address", "10.99." + (number >> 8) + "." + (number & 0xff) + "/24");
              ((ArrayNode) result.path("ips")).add(more);
            }));
    faults.put(
        "ADD-5",
        withChangedResult(
            (result, call) -> result.withArray("routes").addObject().put("dst", "203.0.113.0/24")));
    faults.put(
        "ADD-6",
        (subject, call) ->
            call.is("ADD") && call.has("CNI_NETNS") && subject.isAttached(call)
                ? success(subject.result(call).orElseThrow().toString())
                : subject.answerCorrectly(call));
    faults.put(
        "ADD-7",
        (subject, call) ->
            call.is("ADD") && call.get("CNI_IFNAME").equals("kit1")
                ? failure(100)
                : subject.answerCorrectly(call));
    faults.put(
        "ADD-8",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          if (call.is("ADD") && call.namesMissingNamespace()) {
            leaveFile(call, "left-by-add");
          }
          return answer;
        });
    var running = new AtomicInteger();
    faults.put(
        "CONCURRENT-1",
        (subject, call) -> {
          try {
            return running.incrementAndGet() > 1 ? failure(100) : subject.answerCorrectly(call);
          } finally {
            running.decrementAndGet();
          }
        });
  }

  private static void leaveFile(Call call, String file) throws IOException {
    String directory = call.config().path("ipam").path("dataDir").asString("");
    Files.writeString(Path.of(directory, file), "");
  }

  private static void addDelGcFaults(Map<String, Fault> faults) {
    faults.put(
        "DEL-1",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          if (call.is("DEL") && call.has("CNI_NETNS")) {
            ContainerProbe.addLoopback(Path.of(call.get("CNI_NETNS")));
          }
          return answer;
        });
    faults.put(
        "DEL-2",
        (subject, call) ->
            call.is("DEL") && subject.deletions(call) == 1
                ? failure(100)
                : subject.answerCorrectly(call));
    faults.put(
        "DEL-3",
        (subject, call) ->
            call.is("DEL") && subject.isAttached(call) && !call.config().has("prevResult")
                ? failure(7)
                : subject.answerCorrectly(call));
    faults.put(
        "DEL-4",
        (subject, call) ->
            call.is("DEL") && !call.has("CNI_NETNS") && call.namesAttachment()
                ? success("")
                : subject.answerCorrectly(call));
    faults.put(
        "DEL-5",
        (subject, call) ->
            call.is("DEL") && call.namesMissingNamespace()
                ? failure(100)
                : subject.answerCorrectly(call));
    faults.put(
        "DEL-6",
        (subject, call) ->
            call.is("DEL") && call.namesAttachment() && !subject.wasAttached(call)
                ? failure(100)
                : subject.answerCorrectly(call));
    faults.put(
        "DEL-7",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          if (call.is("DEL")) {
            for (Call other : subject.attached()) {
              if (!other.get("CNI_CONTAINERID").equals(call.get("CNI_CONTAINERID"))) {
                ContainerProbe.deleteInterface(other);
              }
            }
          }
          return answer;
        });
    faults.put(
        "GC-1",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          if (call.is("GC") && !call.config().path("cni.dev/valid-attachments").isEmpty()) {
            for (Call valid : subject.attached()) {
              ContainerProbe.deleteInterface(valid);
            }
          }
          return answer;
        });
    faults.put(
        "GC-2",
        (subject, call) ->
            call.is("GC") && !call.delegatesToKit() ? success("") : subject.answerCorrectly(call));
    faults.put(
        "GC-3",
        (subject, call) ->
            call.is("GC") && subject.attached().isEmpty()
                ? failure(100)
                : subject.answerCorrectly(call));
    faults.put(
        "LEAK-1",
        (subject, call) -> {
          if (call.is("GC") && subject.attached().isEmpty()) {
            leaveFile(call, "left-by-gc");
          }
          return subject.answerCorrectly(call);
        });
    faults.put(
        "LEAK-2",
        (subject, call) -> {
          if (call.is("STATUS") && !call.delegatesToKit()) {
            try (NetNs host = NetNs.open(call.host())) {
              HELD_OPEN.add(
                  host.<ChildProcess, IOException>call(
                      () ->
                          ChildProcess.start(
                              List.of("sleep", "30"),
                              ChildEnvironment.inherited(),
                              new byte[0],
                              0)));
            }
          }
          return subject.answerCorrectly(call);
        });
  }

  /** A fault of what runs in this process: {@code LEAK-3}. */
  static Fault leakingDescriptors() {
    return (subject, call) -> {
      HELD_OPEN.add(new FileInputStream("/dev/null"));
      return subject.answerCorrectly(call);
    };
  }

  static void release() throws Exception {
    for (AutoCloseable it : HELD_OPEN) {
      it.close();
    }
    HELD_OPEN.clear();
  }

  /** A CHECK that overlooks something, and is right otherwise. */
  private static Fault overlooking(Condition condition) {
    return (subject, call) ->
        call.is("CHECK") && call.has("CNI_NETNS") && call.namesAttachment() && condition.holds(call)
            ? success("")
            : subject.answerCorrectly(call);
  }

  private interface Condition {
    boolean holds(Call call) throws IOException;
  }

  private static void addCheckStatusFaults(Map<String, Fault> faults) {
    faults.put(
        "CHECK-1",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          if (call.is("CHECK") && answer.succeeded()) {
            ContainerProbe.addLoopback(Path.of(call.get("CNI_NETNS")));
          }
          return answer;
        });
    faults.put("CHECK-2", overlooking(call -> ContainerProbe.link(call).isEmpty()));
    faults.put(
        "CHECK-3",
        overlooking(
            call -> ContainerProbe.link(call).isPresent() && !ContainerProbe.hasAddresses(call)));
    faults.put(
        "CHECK-4",
        overlooking(
            call ->
                ContainerProbe.link(call).isPresent()
                    && ContainerProbe.hasAddresses(call)
                    && !ContainerProbe.hasRoutes(call)));
    faults.put("CHECK-5", overlooking(call -> !call.config().has("prevResult")));
    faults.put("CHECK-6", overlooking(call -> !ContainerProbe.hasRules(call)));
    faults.put("CHECK-7", overlooking(call -> !ContainerProbe.hasReservations(call)));
    faults.put(
        "STATUS-1",
        (subject, call) ->
            call.is("STATUS") && !call.delegatesToKit()
                ? failure(50)
                : subject.answerCorrectly(call));
    faults.put(
        "STATUS-2",
        (subject, call) ->
            call.is("STATUS") && call.delegatesToKit()
                ? success("")
                : subject.answerCorrectly(call));
  }

  private static void addDelegationFaults(Map<String, Fault> faults) {
    faults.put(
        "DELEGATE-1",
        (subject, call) -> {
          ObjectNode config = call.config();
          if (call.is("ADD") && call.delegatesToKit()) {
            ((ObjectNode) config.get("ipam")).remove("kit");
            return subject.answerCorrectly(call.with(config));
          }
          return subject.answerCorrectly(call);
        });
    faults.put(
        "DELEGATE-2",
        (subject, call) ->
            call.is("CHECK") && call.delegatesToKit()
                ? Files.exists(call.bin().resolve("fail-CHECK")) ? failure(117) : success("")
                : subject.answerCorrectly(call));
    faults.put(
        "DELEGATE-3",
        (subject, call) -> {
          PluginUnderTest.Response answer = subject.answerCorrectly(call);
          return call.is("CHECK") && call.delegatesToKit() ? success("") : answer;
        });
    faults.put(
        "DELEGATE-4",
        (subject, call) ->
            call.is("ADD") && Files.exists(call.bin().resolve("fail-ADD"))
                ? failure(117)
                : subject.answerCorrectly(call));
  }

  private static void addMalformedInputFaults(Map<String, Fault> faults) {
    faults.put(
        "HOSTILE-1",
        (subject, call) -> {
          ObjectNode config = call.config();
          String name = config.path("name").asString("");
          return name.contains("/") || name.startsWith(".")
              ? subject.answerCorrectly(
                  call.with(config.put("name", name.replaceAll("[^a-z]", "x"))))
              : subject.answerCorrectly(call);
        });
    faults.put(
        "HOSTILE-2",
        (subject, call) ->
            call.config().has("name") && !call.config().get("name").isString()
                ? crash()
                : subject.answerCorrectly(call));
    faults.put(
        "HOSTILE-3",
        (subject, call) ->
            call.input().length() > 150_000
                ? new PluginUnderTest.Response(-11, "", "")
                : subject.answerCorrectly(call));
    faults.put(
        "HOSTILE-4",
        (subject, call) -> {
          ObjectNode config = call.config();
          boolean none = config.has("prevResult") && !config.get("prevResult").isObject();
          return none ? crash() : subject.answerCorrectly(call);
        });
  }
}
