// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import static cni.conformance.FaultyPlugin.crash;
import static cni.conformance.FaultyPlugin.failure;
import static cni.conformance.FaultyPlugin.success;

import cni.conformance.FaultyPlugin.Call;
import cni.conformance.FaultyPlugin.Fault;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/** The faults for the checks of the protocol and of malformed input. */
final class ProtocolFaults {
  private ProtocolFaults() {}

  static void addProtocolFaults(Map<String, Fault> faults) {
    faults.put(
        "VERSION-1",
        (plugin, call) ->
            call.is("VERSION")
                ? success("{ \"cniVersion\": \"1.1.0\" }")
                : plugin.answerCorrectly(call));
    faults.put(
        "VERSION-2",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          return call.is("ADD") && response.succeeded()
              ? success(response.stdout().replace("\"0.4.0\"", "\"1.0.0\""))
              : response;
        });
    faults.put(
        "VERSION-3",
        (plugin, call) ->
            call.input().contains("\"99.0.0\"") ? failure(7) : plugin.answerCorrectly(call));
    faults.put("PARAM-1", withoutRequiredVariable("CNI_CONTAINERID", "ADD", "CHECK", "DEL"));
    faults.put("PARAM-2", withoutRequiredVariable("CNI_NETNS", "ADD", "CHECK"));
    faults.put("PARAM-3", withoutRequiredVariable("CNI_IFNAME", "ADD", "CHECK", "DEL"));
    faults.put(
        "PARAM-4",
        (plugin, call) -> call.is("FROBNICATE") ? success("{}") : plugin.answerCorrectly(call));
    faults.put(
        "PARAM-5",
        (plugin, call) -> plugin.answerCorrectly(withSanitizedVariable(call, "CNI_CONTAINERID")));
    faults.put(
        "PARAM-6",
        (plugin, call) -> plugin.answerCorrectly(withSanitizedVariable(call, "CNI_IFNAME")));
    faults.put(
        "ERROR-1",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          return response.succeeded()
              ? response
              : new PluginUnderTest.Response(
                  response.exitStatus(), response.stdout().replace("cniVersion", "version"), "");
        });
    faults.put(
        "ERROR-2",
        (plugin, call) -> {
          PluginUnderTest.Response response = plugin.answerCorrectly(call);
          return new PluginUnderTest.Response(
              response.exitStatus(), response.stdout().replaceAll("(\"code\" *: *)6", "$17"), "");
        });
  }

  /** Succeeds although a variable that the commands require is missing. */
  private static Fault withoutRequiredVariable(String variable, String... commands) {
    return (plugin, call) ->
        !call.has(variable) && Stream.of(commands).anyMatch(call::is)
            ? success("{}")
            : plugin.answerCorrectly(call);
  }

  private static Call withSanitizedVariable(Call call, String variable) {
    String value = call.get(variable).replaceAll("[^a-zA-Z0-9-]|^-+", "x");
    return call.has(variable) ? call.with(variable, truncate(value, variable)) : call;
  }

  private static String truncate(String value, String variable) {
    return variable.equals("CNI_IFNAME") && value.length() > 15 ? value.substring(0, 15) : value;
  }

  static void addMalformedInputFaults(Map<String, Fault> faults) {
    faults.put(
        "HOSTILE-1",
        (plugin, call) -> {
          ObjectNode config = call.config();
          String name = config.path("name").asString("");
          return name.contains("/") || name.startsWith(".")
              ? plugin.answerCorrectly(
                  call.with(config.put("name", name.replaceAll("[^a-z]", "x"))))
              : plugin.answerCorrectly(call);
        });
    faults.put(
        "HOSTILE-2",
        (plugin, call) ->
            call.config().has("name") && !call.config().get("name").isString()
                ? crash()
                : plugin.answerCorrectly(call));
    faults.put(
        "HOSTILE-3",
        (plugin, call) ->
            call.input().length() > 150_000
                ? new PluginUnderTest.Response(-11, "", "")
                : plugin.answerCorrectly(call));
    faults.put(
        "HOSTILE-4",
        (plugin, call) -> {
          ObjectNode config = call.config();
          boolean none = config.has("prevResult") && !config.get("prevResult").isObject();
          return none ? crash() : plugin.answerCorrectly(call);
        });
  }
}
