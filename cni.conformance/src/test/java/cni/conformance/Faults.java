// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

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
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** For each check, a fault that only this check may find. */
final class Faults {
  /** Leaked on purpose, and closed after the test. */
  private static final List<AutoCloseable> HELD_OPEN =
      Collections.synchronizedList(new ArrayList<>());

  private Faults() {}

  /** Returns the faults that interface plugins can have, tested with bridge, by check. */
  static Map<String, Fault> ofInterfaces() {
    Map<String, Fault> faults = new LinkedHashMap<>();
    ProtocolFaults.addProtocolFaults(faults);
    addAddFaults(faults);
    addDelGcFaults(faults);
    addCheckStatusFaults(faults);
    addDelegationFaults(faults);
    ProtocolFaults.addMalformedInputFaults(faults);
    return faults;
  }

  /** Returns the faults that only chained plugins can have, tested with firewall, by check. */
  static Map<String, Fault> ofChained() {
    return Map.of(
        "CHAIN-1",
        withChangedResult((result, call) -> result.remove("dns")),
        "CHAIN-2",
        withChangedResult((result, call) -> ips(result).forEach(ip -> ip.put("interface", 0))));
  }

  /** Returns the faults that only IPAM plugins can have, tested with host-local, by check. */
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
        (plugin, call) ->
            call.is("ADD") && call.has("CNI_NETNS") && plugin.isAttached(call)
                ? success(plugin.result(call).orElseThrow().toString())
                : plugin.answerCorrectly(call));
    faults.put(
        "ADD-7",
        (plugin, call) ->
            call.is("ADD") && call.get("CNI_IFNAME").equals("kit1")
                ? failure(100)
                : plugin.answerCorrectly(call));
    faults.put(
        "ADD-8",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          if (call.is("ADD") && call.namesMissingNamespace()) {
            leaveFile(call, "left-by-add");
          }
          return response;
        });
    var running = new AtomicInteger();
    faults.put(
        "CONCURRENT-1",
        (plugin, call) -> {
          try {
            return running.incrementAndGet() > 1 ? failure(100) : plugin.answerCorrectly(call);
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
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          if (call.is("DEL") && call.has("CNI_NETNS")) {
            ContainerProbe.addLoopback(Path.of(call.get("CNI_NETNS")));
          }
          return response;
        });
    faults.put(
        "DEL-2",
        (plugin, call) ->
            call.is("DEL") && plugin.deletions(call) == 1
                ? failure(100)
                : plugin.answerCorrectly(call));
    faults.put(
        "DEL-3",
        (plugin, call) ->
            call.is("DEL") && plugin.isAttached(call) && !call.config().has("prevResult")
                ? failure(7)
                : plugin.answerCorrectly(call));
    faults.put(
        "DEL-4",
        (plugin, call) ->
            call.is("DEL") && !call.has("CNI_NETNS") && call.namesAttachment()
                ? success("")
                : plugin.answerCorrectly(call));
    faults.put(
        "DEL-5",
        (plugin, call) ->
            call.is("DEL") && call.namesMissingNamespace()
                ? failure(100)
                : plugin.answerCorrectly(call));
    faults.put(
        "DEL-6",
        (plugin, call) ->
            call.is("DEL") && call.namesAttachment() && !plugin.wasAttached(call)
                ? failure(100)
                : plugin.answerCorrectly(call));
    faults.put(
        "DEL-7",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          if (call.is("DEL")) {
            for (Call other : plugin.attached()) {
              if (!other.get("CNI_CONTAINERID").equals(call.get("CNI_CONTAINERID"))) {
                ContainerProbe.deleteInterface(other);
              }
            }
          }
          return response;
        });
    faults.put(
        "GC-1",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          if (call.is("GC") && !call.config().path("cni.dev/valid-attachments").isEmpty()) {
            for (Call valid : plugin.attached()) {
              ContainerProbe.deleteInterface(valid);
            }
          }
          return response;
        });
    faults.put(
        "GC-2",
        (plugin, call) ->
            call.is("GC") && !call.delegatesToKit() ? success("") : plugin.answerCorrectly(call));
    faults.put(
        "GC-3",
        (plugin, call) ->
            call.is("GC") && plugin.attached().isEmpty()
                ? failure(100)
                : plugin.answerCorrectly(call));
    faults.put(
        "LEAK-1",
        (plugin, call) -> {
          if (call.is("GC") && plugin.attached().isEmpty()) {
            leaveFile(call, "left-by-gc");
          }
          return plugin.answerCorrectly(call);
        });
    faults.put(
        "LEAK-2",
        (plugin, call) -> {
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
          return plugin.answerCorrectly(call);
        });
  }

  /** A fault for {@code LEAK-3}, which only applies to plugins in this process. */
  static Fault leakingDescriptors() {
    return (plugin, call) -> {
      HELD_OPEN.add(new FileInputStream("/dev/null"));
      return plugin.answerCorrectly(call);
    };
  }

  static void release() throws Exception {
    for (AutoCloseable it : HELD_OPEN) {
      it.close();
    }
    HELD_OPEN.clear();
  }

  /** A CHECK that overlooks one kind of difference. */
  private static Fault overlooking(Condition condition) {
    return (plugin, call) ->
        call.is("CHECK") && call.has("CNI_NETNS") && call.namesAttachment() && condition.holds(call)
            ? success("")
            : plugin.answerCorrectly(call);
  }

  private interface Condition {
    boolean holds(Call call) throws IOException;
  }

  private static void addCheckStatusFaults(Map<String, Fault> faults) {
    faults.put(
        "CHECK-1",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          if (call.is("CHECK") && response.succeeded()) {
            ContainerProbe.addLoopback(Path.of(call.get("CNI_NETNS")));
          }
          return response;
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
        (plugin, call) ->
            call.is("STATUS") && !call.delegatesToKit()
                ? failure(50)
                : plugin.answerCorrectly(call));
    faults.put(
        "STATUS-2",
        (plugin, call) ->
            call.is("STATUS") && call.delegatesToKit()
                ? success("")
                : plugin.answerCorrectly(call));
  }

  private static void addDelegationFaults(Map<String, Fault> faults) {
    faults.put(
        "DELEGATE-1",
        (plugin, call) -> {
          ObjectNode config = call.config();
          if (call.is("ADD") && call.delegatesToKit()) {
            ((ObjectNode) config.get("ipam")).remove("kit");
            return plugin.answerCorrectly(call.with(config));
          }
          return plugin.answerCorrectly(call);
        });
    faults.put(
        "DELEGATE-2",
        (plugin, call) ->
            call.is("CHECK") && call.delegatesToKit()
                ? Files.exists(call.bin().resolve("fail-CHECK")) ? failure(117) : success("")
                : plugin.answerCorrectly(call));
    faults.put(
        "DELEGATE-3",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          return call.is("CHECK") && call.delegatesToKit() ? success("") : response;
        });
    faults.put(
        "DELEGATE-4",
        (plugin, call) ->
            call.is("ADD") && Files.exists(call.bin().resolve("fail-ADD"))
                ? failure(117)
                : plugin.answerCorrectly(call));
  }
}
