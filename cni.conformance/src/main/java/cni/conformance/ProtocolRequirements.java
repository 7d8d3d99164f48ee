package cni.conformance;

import static cni.conformance.Requirement.ALL;

import cni.api.CniException;
import cni.api.Json;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.CheckHost.Container;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** How a plugin is called and answers: versions, parameters, configuration, errors. */
final class ProtocolRequirements {
  private static final String REQUIRED_TEXT = "Required environment parameters: ";
  private static final String CODE_4_TEXT =
      "Invalid necessary environment variables, like CNI_COMMAND, CNI_CONTAINERID, etc. The error"
          + " message must contain the names of invalid variables.";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "VERSION-1",
              "VERSION lists versions",
              "5, VERSION Success",
              "Plugins must output a JSON object with the following keys upon a VERSION operation:"
                  + " cniVersion, supportedVersions: A list of supported specification versions",
              ALL,
              ProtocolRequirements::versionListsVersions),
          new Requirement(
              "VERSION-2",
              "each listed version is spoken",
              "5, ADD Success",
              "cniVersion: The same version supplied on input",
              ALL,
              ProtocolRequirements::eachListedVersionWorks),
          new Requirement(
              "VERSION-3",
              "another version is refused",
              "5, Error",
              "1: Incompatible CNI version",
              ALL,
              trial ->
                  trial.requireErrorCode(
                      1,
                      trial.addRequest(trial.createContainer()).withKey("cniVersion", "99.0.0"),
                      "with cniVersion 99.0.0")),
          new Requirement(
              "PARAM-1",
              "CNI_CONTAINERID is required",
              "2, Parameters",
              REQUIRED_TEXT + "CNI_COMMAND, CNI_CONTAINERID, ... " + CODE_4_TEXT,
              ALL,
              trial -> requireVariable(trial, "CNI_CONTAINERID", Verb.ADD, Verb.CHECK, Verb.DEL)),
          new Requirement(
              "PARAM-2",
              "CNI_NETNS is required",
              "2, ADD",
              REQUIRED_TEXT + "CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME. " + CODE_4_TEXT,
              ALL,
              trial -> requireVariable(trial, "CNI_NETNS", Verb.ADD, Verb.CHECK)),
          new Requirement(
              "PARAM-3",
              "CNI_IFNAME is required",
              "2, DEL",
              REQUIRED_TEXT + "CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME. " + CODE_4_TEXT,
              ALL,
              trial -> requireVariable(trial, "CNI_IFNAME", Verb.ADD, Verb.CHECK, Verb.DEL)),
          new Requirement(
              "PARAM-4",
              "an unknown CNI_COMMAND is refused",
              "5, Error",
              "4: " + CODE_4_TEXT,
              ALL,
              trial ->
                  trial.requireErrorCode(
                      4,
                      trial
                          .addRequest(trial.createContainer())
                          .withVariable("CNI_COMMAND", "FROBNICATE"),
                      "(unknown)")),
          new Requirement(
              "PARAM-5",
              "a malformed CNI_CONTAINERID is refused",
              "2, Parameters",
              "Must start with an alphanumeric character, optionally followed by any combination of"
                  + " one or more alphanumeric characters, underscore (), dot (.) or hyphen (-).",
              ALL,
              ProtocolRequirements::malformedContainerId),
          new Requirement(
              "PARAM-6",
              "a CNI_IFNAME that no interface can have is refused",
              "2, Parameters",
              "Name of the interface to create inside the container; if the plugin is unable to use"
                  + " this interface name it must return an error.",
              ALL,
              ProtocolRequirements::malformedInterface),
          new Requirement(
              "ERROR-1",
              "an error is an object with cniVersion, code and msg",
              "5, Error",
              "Plugins should output a JSON object with the following keys if they encounter an"
                  + " error: cniVersion: The protocol version in use; code: A numeric error code;"
                  + " msg: A short message characterizing the error.",
              ALL,
              ProtocolRequirements::errorShape),
          new Requirement(
              "ERROR-2",
              "what is no configuration is refused as such",
              "5, Error",
              "6: Failed to decode content. For example, failed to unmarshal network config from"
                  + " bytes or failed to decode version info from string.",
              ALL,
              ProtocolRequirements::undecodableInput));

  private ProtocolRequirements() {}

  private static void versionListsVersions(CheckContext trial) throws CheckFailure, CniException {
    ExecRequest request = trial.testBed().request(Verb.VERSION);
    ObjectNode answer =
        trial.parseResult(trial.requireSuccess(request, "was asked and"), "VERSION");
    trial.require(answer.path("cniVersion").isString(), "no cniVersion: " + answer);
    JsonNode list = answer.path("supportedVersions");
    trial.require(
        list.isArray() && !list.isEmpty() && list.get(0).isString(),
        "no supportedVersions: " + answer);
  }

  private static void eachListedVersionWorks(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    for (SpecVersion version : trial.supported()) {
      Container container = trial.createContainer();
      ExecRequest add = trial.addRequest(container).withVersion(version);
      if (container.prevResult().isPresent()) {
        ObjectNode previous = container.prevResult().get();
        add = add.withKey("prevResult", ResultJson.write(trial.readResult(previous), version));
      }
      ObjectNode result =
          trial.parseResult(
              trial.requireSuccess(add, "in version " + version), "ADD in " + version);
      String said = result.path("cniVersion").asString("0.1.0");
      boolean same = said.equals(version.toString());
      // Before 0.3.0 results had one shape, and their versions were not told apart.
      boolean old = !version.atLeast(SpecVersion.V0_3_0) && said.startsWith("0.");
      trial.require(same || old, "in version " + version + " the result says " + said);
      ExecRequest delete = trial.testBed().request(Verb.DEL, container, Optional.of(result));
      trial.requireSuccess(delete.withVersion(version), "in version " + version);
    }
  }

  private static void requireVariable(CheckContext trial, String variable, Verb... verbs)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    trial.attach(container);
    for (Verb verb : verbs) {
      ExecRequest request =
          switch (verb) {
            case ADD -> trial.addRequest(container);
            case CHECK -> trial.checkRequest(container);
            default -> trial.deleteRequest(container);
          };
      if (verb == Verb.CHECK && !Verb.CHECK.isDefinedIn(trial.testBed().version())) {
        continue;
      }
      String when = "without " + variable;
      ObjectNode error = trial.requireFailure(request.withoutVariable(variable), when);
      trial.require(
          error.path("code").asInt() == 4 && error.toString().contains(variable),
          verb + " " + when + ": " + error);
    }
  }

  private static void malformedContainerId(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    for (String id : List.of("-begins", "../../escape", "with space", "sla/sh", "semi;colon")) {
      trial.requireErrorCode(
          4,
          trial.addRequest(container).withVariable("CNI_CONTAINERID", id),
          "with CNI_CONTAINERID \"" + id + "\"");
    }
    trial.requireBaseline("after ADD with malformed ids");
  }

  private static void malformedInterface(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    Container container = trial.createContainer();
    List<String> names = new ArrayList<>(List.of(".", "..", "a/b", "a b", "a:b"));
    names.add("sixteen-letters-");
    for (String name : names) {
      trial.requireFailure(
          trial.addRequest(container).withVariable("CNI_IFNAME", name),
          "with CNI_IFNAME \"" + name + "\"");
    }
  }

  private static void errorShape(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    ExecRequest request = trial.addRequest(trial.createContainer()).withKey("cniVersion", "99.0.0");
    ObjectNode error = trial.requireFailure(request, "with cniVersion 99.0.0");
    trial.require(error.path("cniVersion").isString(), "no cniVersion: " + error);
    trial.require(!error.path("msg").asString("").isBlank(), "no msg: " + error);
    trial.require(error.path("code").asInt() > 0, "no code: " + error);
  }

  private static void undecodableInput(CheckContext trial)
      throws CheckFailure, CniException, IOException {
    ExecRequest request = trial.addRequest(trial.createContainer());
    for (String input : List.of("", "hello", "{\"cniVersion\": \"1.0.0\", ", "[1, 2]", "7")) {
      String when = "with \"" + input + "\" for a configuration";
      int code = trial.requireFailure(request.withRawInput(input), when).path("code").asInt();
      boolean unread = input.isEmpty() && code == 5;
      trial.require(code == 6 || unread, "ADD " + when + " failed with code " + code);
    }
    ObjectNode number = Json.object().put("cniVersion", 7);
    trial.requireErrorCode(
        6, request.withKey("cniVersion", number.get("cniVersion")), "with a number as cniVersion");
  }
}
