// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import static cni.conformance.Requirement.ALL;

import cni.api.CniException;
import cni.api.Json;
import cni.conformance.CheckHost.Container;
import cni.conformance.PluginUnderTest.Response;
import java.io.IOException;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** The requirements for malformed and malicious input. */
final class MalformedInputRequirements {
  private static final String FAILURE_TEXT =
      "A plugin must exit with a return code of 0 on success, and non-zero on failure. If the plugin"
          + " encounters an error, it should output an \"error\" result structure.";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "HOSTILE-1",
              "a network's name is not used as a path",
              "1, Configuration format",
              "name (string): Must start with an alphanumeric character, optionally followed by any"
                  + " combination of one or more alphanumeric characters, underscore, dot (.) or"
                  + " hyphen (-). Must not contain characters disallowed in file paths.",
              ALL,
              MalformedInputRequirements::networkNamesThatArePaths),
          new Requirement(
              "HOSTILE-2",
              "values of the wrong type do not crash the plugin",
              "2, Errors",
              FAILURE_TEXT,
              ALL,
              MalformedInputRequirements::valuesOfWrongType),
          new Requirement(
              "HOSTILE-3",
              "a deeply nested configuration does not crash the plugin",
              "2, Errors",
              FAILURE_TEXT,
              ALL,
              context -> {
                String deep = "[".repeat(100_000) + "]".repeat(100_000);
                Container container = context.createContainer();
                ExecRequest add = context.addRequest(container);
                String config = add.config().put("kit", "HERE").toString();
                requireCleanEnd(
                    context,
                    container,
                    add.withRawInput(config.replace("\"HERE\"", deep)),
                    "with nested lists");
              }),
          new Requirement(
              "HOSTILE-4",
              "a malformed previous result is refused with an error",
              "2, Errors",
              FAILURE_TEXT,
              ALL,
              MalformedInputRequirements::malformedPrevResult));

  private MalformedInputRequirements() {}

  /** Requires success or an error object; a crash or a timeout is a failure. */
  private static void requireCleanEnd(
      CheckContext context, Container container, ExecRequest request, String when)
      throws CheckFailure, CniException {
    Response response = context.call(request);
    if (response.succeeded()) {
      CheckContext.parseObject(response.stdout())
          .ifPresent(result -> context.recordResult(container, result));
    } else {
      context.requireFailure(request, when);
    }
  }

  private static void networkNamesThatArePaths(CheckContext context)
      throws CheckFailure, CniException, IOException {
    for (String name : List.of("../../escape", "/absolute", "..", "a/b")) {
      ExecRequest add = context.addRequest(context.createContainer()).withKey("name", name);
      context.requireFailure(add, "with network name \"" + name + "\"");
    }
  }

  private static void valuesOfWrongType(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    ExecRequest add = context.addRequest(container);
    List<JsonNode> wrong =
        List.of(
            Json.object().put("x", 7).get("x"),
            Json.object().putArray("x").add(true),
            Json.object().putObject("x").put("y", "z"));
    for (String key : List.of("name", "cniVersion")) {
      for (JsonNode value : wrong) {
        context.requireFailure(add.withKey(key, value), "with " + key + " " + value);
      }
    }
    for (var entry : add.config().properties()) {
      for (JsonNode value : wrong) {
        requireCleanEnd(
            context,
            container,
            add.withKey(entry.getKey(), value),
            "with " + entry.getKey() + " " + value);
      }
    }
  }

  private static void malformedPrevResult(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    ExecRequest add = context.addRequest(container);
    for (String text :
        List.of(
            "{\"x\": 7}",
            "{\"x\": {\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"none\"}]}}",
            "{\"x\": {\"cniVersion\": \"1.0.0\", \"interfaces\": 7}}")) {
      JsonNode value = Json.parse(text, "the kit").get("x");
      ExecRequest request = add.withKey("prevResult", value);
      if (context.subjectConfig().needsPrevResult()) {
        context.requireFailure(request, "with prevResult " + value);
      } else { // the plugin need not read prevResult
        requireCleanEnd(context, container, request, "with prevResult " + value);
      }
    }
  }
}
