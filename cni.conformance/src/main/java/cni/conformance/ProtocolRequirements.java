// SPDX-License-Identifier: Apache-2.0
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

/** The requirements for the protocol: versions, parameters, configuration and errors. */
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
              "each listed version is supported",
              "5, ADD Success",
              "cniVersion: The same version supplied on input",
              ALL,
              ProtocolRequirements::eachListedVersionWorks),
          new Requirement(
              "VERSION-3",
              "an unsupported version is refused",
              "5, Error",
              "1: Incompatible CNI version",
              ALL,
              context ->
                  context.requireErrorCode(
                      1,
                      context.addRequest(context.createContainer()).withKey("cniVersion", "99.0.0"),
                      "with cniVersion 99.0.0")),
          new Requirement(
              "PARAM-1",
              "CNI_CONTAINERID is required",
              "2, Parameters",
              REQUIRED_TEXT + "CNI_COMMAND, CNI_CONTAINERID, ... " + CODE_4_TEXT,
              ALL,
              context ->
                  requireVariable(context, "CNI_CONTAINERID", Verb.ADD, Verb.CHECK, Verb.DEL)),
          new Requirement(
              "PARAM-2",
              "CNI_NETNS is required",
              "2, ADD",
              REQUIRED_TEXT + "CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME. " + CODE_4_TEXT,
              ALL,
              context -> requireVariable(context, "CNI_NETNS", Verb.ADD, Verb.CHECK)),
          new Requirement(
              "PARAM-3",
              "CNI_IFNAME is required",
              "2, DEL",
              REQUIRED_TEXT + "CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME. " + CODE_4_TEXT,
              ALL,
              context -> requireVariable(context, "CNI_IFNAME", Verb.ADD, Verb.CHECK, Verb.DEL)),
          new Requirement(
              "PARAM-4",
              "an unknown CNI_COMMAND is refused",
              "5, Error",
              "4: " + CODE_4_TEXT,
              ALL,
              context ->
                  context.requireErrorCode(
                      4,
                      context
                          .addRequest(context.createContainer())
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
              "an invalid CNI_IFNAME is refused",
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
              "input that is not a configuration is refused with code 6",
              "5, Error",
              "6: Failed to decode content. For example, failed to unmarshal network config from"
                  + " bytes or failed to decode version info from string.",
              ALL,
              ProtocolRequirements::undecodableInput));

  private ProtocolRequirements() {}

  private static void versionListsVersions(CheckContext context) throws CheckFailure, CniException {
    ExecRequest request = context.checkHost().request(Verb.VERSION);
    ObjectNode response =
        context.parseResult(context.requireSuccess(request, "of the plugin"), "VERSION");
    context.require(response.path("cniVersion").isString(), "no cniVersion: " + response);
    JsonNode list = response.path("supportedVersions");
    context.require(
        list.isArray() && !list.isEmpty() && list.get(0).isString(),
        "no supportedVersions: " + response);
  }

  private static void eachListedVersionWorks(CheckContext context)
      throws CheckFailure, CniException, IOException {
    for (SpecVersion version : context.supported()) {
      Container container = context.createContainer();
      ExecRequest add = context.addRequest(container).withVersion(version);
      if (container.prevResult().isPresent()) {
        ObjectNode previous = container.prevResult().get();
        add = add.withKey("prevResult", ResultJson.write(context.readResult(previous), version));
      }
      ObjectNode result =
          context.parseResult(
              context.requireSuccess(add, "in version " + version), "ADD in " + version);
      String actual = result.path("cniVersion").asString("0.1.0");
      boolean same = actual.equals(version.toString());
      // Results before 0.3.0 all have the same form, so their versions are not distinguished.
      boolean old = !version.atLeast(SpecVersion.V0_3_0) && actual.startsWith("0.");
      context.require(same || old, "in version " + version + " the result has version " + actual);
      ExecRequest delete = context.checkHost().request(Verb.DEL, container, Optional.of(result));
      context.requireSuccess(delete.withVersion(version), "in version " + version);
    }
  }

  private static void requireVariable(CheckContext context, String variable, Verb... verbs)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    context.attach(container);
    for (Verb verb : verbs) {
      ExecRequest request =
          switch (verb) {
            case ADD -> context.addRequest(container);
            case CHECK -> context.checkRequest(container);
            default -> context.deleteRequest(container);
          };
      if (verb == Verb.CHECK && !Verb.CHECK.isDefinedIn(context.checkHost().version())) {
        continue;
      }
      String when = "without " + variable;
      ObjectNode error = context.requireFailure(request.withoutVariable(variable), when);
      context.require(
          error.path("code").asInt() == 4 && error.toString().contains(variable),
          verb + " " + when + ": " + error);
    }
  }

  private static void malformedContainerId(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    for (String id : List.of("-begins", "../../escape", "with space", "sla/sh", "semi;colon")) {
      context.requireErrorCode(
          4,
          context.addRequest(container).withVariable("CNI_CONTAINERID", id),
          "with CNI_CONTAINERID \"" + id + "\"");
    }
    context.requireBaseline("after ADD with malformed ids");
  }

  private static void malformedInterface(CheckContext context)
      throws CheckFailure, CniException, IOException {
    Container container = context.createContainer();
    List<String> names = new ArrayList<>(List.of(".", "..", "a/b", "a b", "a:b"));
    names.add("sixteen-letters-");
    for (String name : names) {
      context.requireFailure(
          context.addRequest(container).withVariable("CNI_IFNAME", name),
          "with CNI_IFNAME \"" + name + "\"");
    }
  }

  private static void errorShape(CheckContext context)
      throws CheckFailure, CniException, IOException {
    ExecRequest request =
        context.addRequest(context.createContainer()).withKey("cniVersion", "99.0.0");
    ObjectNode error = context.requireFailure(request, "with cniVersion 99.0.0");
    context.require(error.path("cniVersion").isString(), "no cniVersion: " + error);
    context.require(!error.path("msg").asString("").isBlank(), "no msg: " + error);
    context.require(error.path("code").asInt() > 0, "no code: " + error);
  }

  private static void undecodableInput(CheckContext context)
      throws CheckFailure, CniException, IOException {
    ExecRequest request = context.addRequest(context.createContainer());
    for (String input : List.of("", "hello", "{\"cniVersion\": \"1.0.0\", ", "[1, 2]", "7")) {
      String when = "with \"" + input + "\" as configuration";
      int code = context.requireFailure(request.withRawInput(input), when).path("code").asInt();
      boolean emptyInput = input.isEmpty() && code == 5;
      context.require(code == 6 || emptyInput, "ADD " + when + " failed with code " + code);
    }
    ObjectNode number = Json.object().put("cniVersion", 7);
    context.requireErrorCode(
        6, request.withKey("cniVersion", number.get("cniVersion")), "with a number as cniVersion");
  }
}
