package cni.conformance;

import static cni.conformance.Requirement.INTERFACE;

import cni.api.CniException;
import cni.api.Json;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.Stage.Container;
import cni.conformance.Subject.Answer;
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

/** Delegation: an ipam plugin of the kit's own notes how it is called, and fails when told to. */
final class DelegationRequirements {
  private static final String IPAM = "kit-ipam";
  private static final String ALSO =
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
              DelegationRequirements::same),
          new Requirement(
              "DELEGATE-2",
              "the delegate is called for DEL, CHECK and GC",
              "4, Delegated plugin execution procedure",
              ALSO,
              INTERFACE,
              DelegationRequirements::also),
          new Requirement(
              "DELEGATE-3",
              "the delegate's errors are passed on",
              "4, Delegated plugin execution procedure",
              ALSO,
              INTERFACE,
              DelegationRequirements::errors),
          new Requirement(
              "DELEGATE-4",
              "a delegate whose ADD fails gets a DEL",
              "4, Delegated plugin execution procedure",
              "If, on ADD, a delegated plugin fails, the \"upper\" plugin should execute again with"
                  + " DEL before returning failure.",
              INTERFACE,
              DelegationRequirements::failedAdd),
          new Requirement(
              "STATUS-2",
              "the delegate's status counts",
              "2, STATUS",
              "If a plugin relies on a delegated plugin (e.g. IPAM) to service ADD requests, it must"
                  + " also execute a STATUS request to that plugin when it receives a STATUS request"
                  + " for itself. If the delegated plugin return an error result, the executing"
                  + " plugin should return an error result.",
              INTERFACE,
              DelegationRequirements::status));

  private DelegationRequirements() {}

  /** The kit's own ipam plugin. */
  private record Recorder(Trial trial) {
    static Recorder install(Trial trial) throws NotApplicable, IOException {
      trial.onlyIf(trial.setting().delegate().isPresent(), "it delegates to nobody");
      Files.createDirectory(trial.stage().bin().resolve("calls"));
      String version = trial.stage().version().toString();
      trial
          .stage()
          .script(
              IPAM,
              """
              here=${0%%/*}
              n=$here/calls/$(ls "$here/calls" | wc -l)-$CNI_COMMAND
              cat >"$n.json"
              env >"$n.env"
              if [ -e "$here/fail-$CNI_COMMAND" ]; then
                echo '{ "cniVersion": "%s", "code": 117, "msg": "the delegate was told to fail" }'
                exit 1
              fi
              case $CNI_COMMAND in
              ADD) echo '{ "cniVersion": "%s", "ips": %s }' ;;
              VERSION) echo '{ "cniVersion": "%s", "supportedVersions": [ "%s" ] }' ;;
              esac
              """
                  .formatted(version, version, addresses(trial), version, version));
      return new Recorder(trial);
    }

    /** Those that the first container had, so that what it left on the host suits them. */
    private static ArrayNode addresses(Trial trial) {
      ArrayNode ips = Json.object().arrayNode();
      for (JsonNode it : trial.example().path("ips")) {
        ObjectNode ip = Json.object();
        ip.setAll((ObjectNode) it);
        ip.remove("interface");
        ips.add(ip);
      }
      return ips;
    }

    Request delegating(Request request) {
      return request.key("ipam", Json.object().put("type", IPAM).put("kit", "mark"));
    }

    void failAt(Verb verb) throws IOException {
      Files.createFile(trial.stage().bin().resolve("fail-" + verb));
    }

    void succeedAt(Verb verb) throws IOException {
      Files.delete(trial.stage().bin().resolve("fail-" + verb));
    }

    private Path calls() {
      return trial.stage().bin().resolve("calls");
    }

    /** The names of the files that hold the inputs of calls, oldest first. */
    List<Path> inputs(Verb verb) throws IOException {
      try (Stream<Path> files = Files.list(calls())) {
        return files.filter(it -> it.toString().endsWith("-" + verb + ".json")).sorted().toList();
      }
    }
  }

  private static ObjectNode attach(Trial trial, Recorder recorder, Container container)
      throws CheckFailure, CniException {
    Request add = recorder.delegating(trial.add(container));
    Answer answer = trial.succeed(add, "with an ipam plugin of the kit's");
    ObjectNode result = trial.result(answer, "ADD");
    trial.remember(container, result);
    return result;
  }

  private static void same(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Recorder recorder = Recorder.install(trial);
    Container container = trial.container();
    ObjectNode result = attach(trial, recorder, container);
    Request request = recorder.delegating(trial.add(container));
    List<Path> inputs = recorder.inputs(Verb.ADD);
    trial.require(!inputs.isEmpty(), "the delegate was not called for ADD: " + result);
    Path input = inputs.getFirst();
    JsonNode received = Json.parse(Files.readAllBytes(input), "the delegate's input");
    for (var entry : request.config().properties()) {
      trial.require(
          received.path(entry.getKey()).equals(entry.getValue()),
          "of the configuration's " + entry + " the delegate got " + received.path(entry.getKey()));
    }
    String environment =
        Files.readString(
            Path.of(input.toString().replace(".json", ".env")), StandardCharsets.UTF_8);
    for (var entry : request.environment().entrySet()) {
      String line = entry.getKey() + "=" + entry.getValue();
      trial.require(
          List.of(environment.split("\n", -1)).contains(line), "the delegate did not get " + line);
    }
    trial.succeed(recorder.delegating(trial.delete(container)), "with an ipam plugin of the kit's");
  }

  private static List<Verb> verbs(Trial trial) {
    List<Verb> verbs = new ArrayList<>();
    for (Verb verb : List.of(Verb.CHECK, Verb.GC, Verb.DEL)) {
      if (verb.isIn(trial.stage().version())) {
        verbs.add(verb);
      }
    }
    return verbs;
  }

  private static Request request(Trial trial, Recorder recorder, Verb verb, Container container) {
    Request request =
        switch (verb) {
          case CHECK -> trial.check(container);
          case DEL -> trial.delete(container);
          default ->
              trial
                  .stage()
                  .request(verb)
                  .key(
                      "cni.dev/valid-attachments",
                      Json.object()
                          .arrayNode()
                          .add(
                              Json.object()
                                  .put("containerID", container.id())
                                  .put("ifname", container.ifName())));
        };
    return recorder.delegating(request);
  }

  private static void also(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Recorder recorder = Recorder.install(trial);
    Container container = trial.container();
    attach(trial, recorder, container);
    for (Verb verb : verbs(trial)) {
      trial.call(request(trial, recorder, verb, container));
      trial.require(!recorder.inputs(verb).isEmpty(), "the delegate was not called for " + verb);
    }
  }

  private static void errors(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Recorder recorder = Recorder.install(trial);
    Container container = trial.container();
    attach(trial, recorder, container);
    for (Verb verb : verbs(trial)) {
      recorder.failAt(verb);
      trial.fail(request(trial, recorder, verb, container), "while its delegate fails");
      recorder.succeedAt(verb);
    }
    trial.succeed(request(trial, recorder, Verb.DEL, container), "after its delegate had failed");
  }

  private static void failedAdd(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    Recorder recorder = Recorder.install(trial);
    Container container = trial.container();
    recorder.failAt(Verb.ADD);
    trial.fail(recorder.delegating(trial.add(container)), "while its delegate fails");
    trial.require(
        !recorder.inputs(Verb.DEL).isEmpty(), "the delegate, whose ADD failed, got no DEL");
    trial.requireBaseline("after an ADD whose delegate failed");
  }

  private static void status(Trial trial)
      throws CheckFailure, NotApplicable, CniException, IOException {
    trial.onlySince(SpecVersion.V1_1_0);
    Recorder recorder = Recorder.install(trial);
    Request status = recorder.delegating(trial.stage().request(Verb.STATUS));
    trial.succeed(status, "while its delegate is ready");
    trial.require(
        !recorder.inputs(Verb.STATUS).isEmpty(), "the delegate was not called for STATUS");
    recorder.failAt(Verb.STATUS);
    trial.fail(status, "while its delegate is not ready");
  }
}
