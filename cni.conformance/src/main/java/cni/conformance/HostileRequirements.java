package cni.conformance;

import static cni.conformance.Requirement.ALL;

import cni.api.CniException;
import cni.api.Json;
import cni.conformance.Stage.Container;
import cni.conformance.Subject.Answer;
import java.io.IOException;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Input that means no good. */
final class HostileRequirements {
  private static final String FAILS =
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
              HostileRequirements::networkName),
          new Requirement(
              "HOSTILE-2",
              "values of the wrong kind are refused with an error",
              "2, Errors",
              FAILS,
              ALL,
              HostileRequirements::wrongKinds),
          new Requirement(
              "HOSTILE-3",
              "a configuration that is nested without end is refused with an error",
              "2, Errors",
              FAILS,
              ALL,
              trial -> {
                String deep = "[".repeat(100_000) + "]".repeat(100_000);
                Container container = trial.container();
                Request add = trial.add(container);
                String config = add.config().put("kit", "HERE").toString();
                end(
                    trial,
                    container,
                    add.input(config.replace("\"HERE\"", deep)),
                    "with nested lists");
              }),
          new Requirement(
              "HOSTILE-4",
              "a previous result that is none is refused with an error",
              "2, Errors",
              FAILS,
              ALL,
              HostileRequirements::previousResult));

  private HostileRequirements() {}

  /** It may take it or refuse it, but neither die of it nor hang. */
  private static void end(Trial trial, Container container, Request request, String when)
      throws CheckFailure, CniException {
    Answer answer = trial.call(request);
    if (answer.succeeded()) {
      Trial.parse(answer.output()).ifPresent(result -> trial.remember(container, result));
    } else {
      trial.fail(request, when);
    }
  }

  private static void networkName(Trial trial) throws CheckFailure, CniException, IOException {
    for (String name : List.of("../../escape", "/absolute", "..", "a/b")) {
      Request add = trial.add(trial.container()).key("name", name);
      trial.fail(add, "with network name \"" + name + "\"");
    }
  }

  private static void wrongKinds(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    Request add = trial.add(container);
    List<JsonNode> wrong =
        List.of(
            Json.object().put("x", 7).get("x"),
            Json.object().putArray("x").add(true),
            Json.object().putObject("x").put("y", "z"));
    for (String key : List.of("name", "cniVersion")) {
      for (JsonNode value : wrong) {
        trial.fail(add.key(key, value), "with " + key + " " + value);
      }
    }
    for (var entry : add.config().properties()) {
      for (JsonNode value : wrong) {
        end(
            trial,
            container,
            add.key(entry.getKey(), value),
            "with " + entry.getKey() + " " + value);
      }
    }
  }

  private static void previousResult(Trial trial) throws CheckFailure, CniException, IOException {
    Container container = trial.container();
    Request add = trial.add(container);
    for (String text :
        List.of(
            "{\"x\": 7}",
            "{\"x\": {\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"none\"}]}}",
            "{\"x\": {\"cniVersion\": \"1.0.0\", \"interfaces\": 7}}")) {
      JsonNode value = Json.parse(text, "the kit").get("x");
      Request request = add.key("prevResult", value);
      if (trial.setting().followsAnother()) {
        trial.fail(request, "with prevResult " + value);
      } else { // which has no use for it, and need not look at it
        end(trial, container, request, "with prevResult " + value);
      }
    }
  }
}
