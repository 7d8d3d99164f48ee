package cni.conformance;

import static cni.conformance.Requirement.ALL;

import cni.api.CniException;
import cni.api.Json;
import cni.conformance.CheckHost.Container;
import cni.conformance.PluginUnderTest.Response;
import java.io.IOException;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Input that means no good. */
final class MalformedInputRequirements {
  private static final String FAILURE_TEXT =
      "A plugin must exit with a return code of 0 on success, and non-zero on failure. If the plugin"
          + " encounters an error, it should output an \"error\" result structure.";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "HOSTILE-1",
              "a network's name is not taken for a path",
              "1, Configuration format",
              "name (string): Must start with an alphanumeric character, optionally followed by any"
                  + " combination of one or more alphanumeric characters, underscore, dot (.) or"
                  + " hyphen (-). Must not contain characters disallowed in file paths.",
              ALL,
              MalformedInputRequirements::networkNamesThatArePaths),
          new Requirement(
              "HOSTILE-2",
              "values of the wrong kind are refused with an error",
              "2, Errors",
              FAILURE_TEXT,
              ALL,
              MalformedInputRequirements::valuesOfWrongType),
          new Requirement(
              "HOSTILE-3",
              "a configuration that is nested without end is refused with an error",
              "2, Errors",
              FAILURE_TEXT,
              ALL,
              trial -> {
                String deep = "[".repeat(100_000) + "]".repeat(100_000);
                Container container = trial.createContainer();
                ExecRequest add = trial.addRequest(container);
                String config = add.config().put("kit", "HERE").toString();
                requireCleanEnd(
                    trial,
                    container,
                    add.withRawInput(config.replace("\"HERE\"", deep)),
                    "with nested lists");
              }),
          new Requirement(
              "HOSTILE-4",
              "a previous result that is none is refused with an error",
              "2, Errors",
              FAILURE_TEXT,
              ALL,
              MalformedInputRequirements::malformedPrevResult));

  private MalformedInputRequirements() {}

  /** It may take it or refuse it, but neither die of it nor hang. */
  private static void requireCleanEnd(
      CheckContext trial, Container container, ExecRequest request, String when)
      throws CheckFailure, CniException {
    Response answer = trial.call(request);
    if (answer.succeeded()) {
      CheckContext.parseObject(answer.stdout())
          .ifPresent(result -> trial.recordResult(container, result));
    } else {
      trial.requireFailure(request, when);
    }
  }

  private static void networkNamesThatArePaths(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    for (String name : List.of("../../escape", "/absolute", "..", "a/b")) {
      ExecRequest add = trial.addRequest(trial.createContainer()).withKey("name", name);
      trial.requireFailure(add, "with network name \"" + name + "\"");
    }
  }

  private static void valuesOfWrongType(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    ExecRequest add = trial.addRequest(container);
    List<JsonNode> wrong =
        List.of(
            Json.object().put("x", 7).get("x"),
            Json.object().putArray("x").add(true),
            Json.object().putObject("x").put("y", "z"));
    for (String key : List.of("name", "cniVersion")) {
      for (JsonNode value : wrong) {
        trial.requireFailure(add.withKey(key, value), "with " + key + " " + value);
      }
    }
    for (var entry : add.config().properties()) {
      for (JsonNode value : wrong) {
        requireCleanEnd(
            trial,
            container,
            add.withKey(entry.getKey(), value),
            "with " + entry.getKey() + " " + value);
      }
    }
  }

  private static void malformedPrevResult(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    ExecRequest add = trial.addRequest(container);
    for (String text :
        List.of(
            "{\"x\": 7}",
            "{\"x\": {\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"none\"}]}}",
            "{\"x\": {\"cniVersion\": \"1.0.0\", \"interfaces\": 7}}")) {
      JsonNode value = Json.parse(text, "the kit").get("x");
      ExecRequest request = add.withKey("prevResult", value);
      if (trial.subjectConfig().needsPrevResult()) {
        trial.requireFailure(request, "with prevResult " + value);
      } else { // which has no use for it, and need not look at it
        requireCleanEnd(trial, container, request, "with prevResult " + value);
      }
    }
  }
}
