// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import static cni.conformance.Requirement.INTERFACE;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.CheckHost.Container;
import cni.conformance.PluginUnderTest.Response;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The requirements for delegation. The plugin is configured with an IPAM delegate of the kit, a
 * script that records its calls and fails on request.
 */
final class DelegationRequirements {
  private static final String DELEGATE_TYPE = "kit-ipam";
  private static final String DELEGATE_TEXT =
      "If a plugin is executed with CNI_COMMAND=CHECK, DEL, or GC, it must also execute any"
          + " delegated plugins. If any of the delegated plugins return error, error should be"
          + " returned by the upper plugin.";

  static final List<Requirement> LIST =
      List.of(
          new Requirement(
              "DELEGATE-1",
              "the delegate gets the same environment and configuration",
              "4, Delegated Plugin protocol",
              "The delegated plugin must receive all the same environment variables that were passed"
                  + " in to the CNI plugin. Delegated plugins are provided the complete network"
                  + " configuration passed to the \"upper\" plugin.",
              INTERFACE,
              DelegationRequirements::delegateGetsSameInput),
          new Requirement(
              "DELEGATE-2",
              "the delegate is called for DEL, CHECK and GC",
              "4, Delegated plugin execution procedure",
              DELEGATE_TEXT,
              INTERFACE,
              DelegationRequirements::delegateIsCalled),
          new Requirement(
              "DELEGATE-3",
              "the delegate's errors are passed on",
              "4, Delegated plugin execution procedure",
              DELEGATE_TEXT,
              INTERFACE,
              DelegationRequirements::delegateErrorsArePassedOn),
          new Requirement(
              "DELEGATE-4",
              "a delegate whose ADD fails gets a DEL",
              "4, Delegated plugin execution procedure",
              "If, on ADD, a delegated plugin fails, the \"upper\" plugin should execute again with"
                  + " DEL before returning failure.",
              INTERFACE,
              DelegationRequirements::failedDelegateGetsDel),
          new Requirement(
              "STATUS-2",
              "STATUS fails if the delegate's STATUS fails",
              "2, STATUS",
              "If a plugin relies on a delegated plugin (e.g. IPAM) to service ADD requests, it must"
                  + " also execute a STATUS request to that plugin when it receives a STATUS request"
                  + " for itself. If the delegated plugin return an error result, the executing"
                  + " plugin should return an error result.",
              INTERFACE,
              DelegationRequirements::delegateStatusCounts));

  private DelegationRequirements() {}

  /** The kit's IPAM delegate. */
  private record RecordingDelegate(CheckContext context) {
    static RecordingDelegate install(CheckContext context) throws NotApplicable, IOException {
      context.assume(context.subjectConfig().ipamType().isPresent(), "the plugin has no delegate");
      Files.createDirectory(context.checkHost().binDirectory().resolve("calls"));
      String version = context.checkHost().version().toString();
      context
          .checkHost()
          .installScript(
              DELEGATE_TYPE,
              """
              here=${0%%/*}
              n=$here/calls/$(ls "$here/calls" | wc -l)-$CNI_COMMAND
              cat >"$n.json"
              env >"$n.env"
              if [ -e "$here/fail-$CNI_COMMAND" ]; then
                echo '{ "cniVersion": "%s", "code": 117, "msg": "failure requested by the check" }'
                exit 1
              fi
              case $CNI_COMMAND in
              ADD) echo '{ "cniVersion": "%s", "ips": %s }' ;;
              VERSION) echo '{ "cniVersion": "%s", "supportedVersions": [ "%s" ] }' ;;
              esac
              """
                  .formatted(version, version, addresses(context), version, version));
      return new RecordingDelegate(context);
    }

    /** The addresses of the first container, which suit what it left on the host, if anything. */
    private static ArrayNode addresses(CheckContext context) {
      ArrayNode ips = Json.object().arrayNode();
      for (JsonNode it : context.exampleResult().path("ips")) {
        ObjectNode ip = Json.object();
        ip.setAll((ObjectNode) it);
        ip.remove("interface");
        ips.add(ip);
      }
      return ips;
    }

    ExecRequest redirect(ExecRequest request) {
      return request.withKey("ipam", Json.object().put("type", DELEGATE_TYPE).put("kit", "mark"));
    }

    void failAt(Verb verb) throws IOException {
      Files.createFile(context.checkHost().binDirectory().resolve("fail-" + verb));
    }

    void succeedAt(Verb verb) throws IOException {
      Files.delete(context.checkHost().binDirectory().resolve("fail-" + verb));
    }

    private Path calls() {
      return context.checkHost().binDirectory().resolve("calls");
    }

    /** Returns the files with the inputs of calls, oldest first. */
    List<Path> inputs(Verb verb) throws IOException {
      try (Stream<Path> files = Files.list(calls())) {
        return files.filter(it -> it.toString().endsWith("-" + verb + ".json")).sorted().toList();
      }
    }
  }

  private static ObjectNode attach(
      CheckContext context, RecordingDelegate recorder, Container container)
      throws CheckFailure, CniException {
    ExecRequest add = recorder.redirect(context.addRequest(container));
    Response response = context.requireSuccess(add, "with the kit's IPAM delegate");
    ObjectNode result = context.parseResult(response, "ADD");
    context.recordResult(container, result);
    return result;
  }

  private static void delegateGetsSameInput(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    RecordingDelegate recorder = RecordingDelegate.install(context);
    Container container = context.createContainer();
    ObjectNode result = attach(context, recorder, container);
    ExecRequest request = recorder.redirect(context.addRequest(container));
    List<Path> inputs = recorder.inputs(Verb.ADD);
    context.require(!inputs.isEmpty(), "the delegate was not called for ADD: " + result);
    Path input = inputs.getFirst();
    JsonNode received = Json.parse(Files.readAllBytes(input), "the delegate's input");
    for (var entry : request.config().properties()) {
      context.require(
          received.path(entry.getKey()).equals(entry.getValue()),
          "instead of the configuration's "
              + entry
              + " the delegate got "
              + received.path(entry.getKey()));
    }
    String environment =
        Files.readString(
            Path.of(input.toString().replace(".json", ".env")), StandardCharsets.UTF_8);
    for (var entry : request.environment().entrySet()) {
      String line = entry.getKey() + "=" + entry.getValue();
      context.require(
          List.of(environment.split("\n", -1)).contains(line), "the delegate did not get " + line);
    }
    context.requireSuccess(
        recorder.redirect(context.deleteRequest(container)), "with the kit's IPAM delegate");
  }

  private static List<Verb> verbs(CheckContext context) {
    List<Verb> verbs = new ArrayList<>();
    for (Verb verb : List.of(Verb.CHECK, Verb.GC, Verb.DEL)) {
      if (verb.isDefinedIn(context.checkHost().version())) {
        verbs.add(verb);
      }
    }
    return verbs;
  }

  private static ExecRequest request(
      CheckContext context, RecordingDelegate recorder, Verb verb, Container container) {
    ExecRequest request =
        switch (verb) {
          case CHECK -> context.checkRequest(container);
          case DEL -> context.deleteRequest(container);
          default ->
              context
                  .checkHost()
                  .request(verb)
                  .withKey(
                      "cni.dev/valid-attachments",
                      Json.object()
                          .arrayNode()
                          .add(
                              Json.object()
                                  .put("containerID", container.id())
                                  .put("ifname", container.interfaceName())));
        };
    return recorder.redirect(request);
  }

  private static void delegateIsCalled(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    RecordingDelegate recorder = RecordingDelegate.install(context);
    Container container = context.createContainer();
    attach(context, recorder, container);
    for (Verb verb : verbs(context)) {
      context.call(request(context, recorder, verb, container));
      context.require(!recorder.inputs(verb).isEmpty(), "the delegate was not called for " + verb);
    }
  }

  private static void delegateErrorsArePassedOn(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    RecordingDelegate recorder = RecordingDelegate.install(context);
    Container container = context.createContainer();
    attach(context, recorder, container);
    for (Verb verb : verbs(context)) {
      recorder.failAt(verb);
      context.requireFailure(
          request(context, recorder, verb, container), "while its delegate fails");
      recorder.succeedAt(verb);
    }
    context.requireSuccess(
        request(context, recorder, Verb.DEL, container), "after failures of its delegate");
  }

  private static void failedDelegateGetsDel(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    RecordingDelegate recorder = RecordingDelegate.install(context);
    Container container = context.createContainer();
    recorder.failAt(Verb.ADD);
    context.requireFailure(
        recorder.redirect(context.addRequest(container)), "while its delegate fails");
    context.require(
        !recorder.inputs(Verb.DEL).isEmpty(), "the delegate got no DEL after its failed ADD");
    context.requireBaseline("after an ADD whose delegate failed");
  }

  private static void delegateStatusCounts(CheckContext context)
      throws CheckFailure, NotApplicable, CniException, IOException {
    context.assumeVersion(SpecVersion.V1_1_0);
    RecordingDelegate recorder = RecordingDelegate.install(context);
    ExecRequest status = recorder.redirect(context.checkHost().request(Verb.STATUS));
    context.requireSuccess(status, "while its delegate is ready");
    context.require(
        !recorder.inputs(Verb.STATUS).isEmpty(), "the delegate was not called for STATUS");
    recorder.failAt(Verb.STATUS);
    context.requireFailure(status, "while its delegate is not ready");
  }
}
