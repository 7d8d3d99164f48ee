package cni.exec;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.Verb;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * An executable that speaks the execution protocol (SPEC section 2) as a plugin like any other. It
 * is run in the host namespace of the request.
 */
public final class ExecutablePlugin implements NetworkPlugin {
  private static final Duration VERSION_TIMEOUT = Duration.ofSeconds(10);

  /** Plugins of version 0.1.0 look for these before they say that they do not know VERSION. */
  private static final Map<String, String> PLACEHOLDER_VARIABLES =
      Map.of("CNI_CONTAINERID", "dummy", "CNI_NETNS", "dummy", "CNI_IFNAME", "dummy");

  /** How much of something unintelligible is shown. */
  private static final int MAX_EXCERPT_LENGTH = 400;

  private final String type;
  private final Path executable;
  private final PluginPath path;
  private final StderrHandler stderr;

  /**
   * A plugin that is the executable.
   *
   * @param type what configurations name it by
   * @param executable the file
   * @param path where it finds those that it delegates to
   * @param diagnostics takes what it writes to its standard error
   */
  public ExecutablePlugin(
      String type, Path executable, PluginPath path, StderrHandler diagnostics) {
    this.type = type;
    this.executable = executable;
    this.path = path;
    this.stderr = diagnostics;
  }

  @Override
  public String type() {
    return type;
  }

  /** The file that is run. */
  public Path executable() {
    return executable;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Runs the executable to ask it.
   */
  @Override
  public Set<SpecVersion> versions() throws CniException {
    ObjectNode input = Json.object().put("cniVersion", SpecVersion.CURRENT.toString());
    Map<String, String> environment = new HashMap<>(PLACEHOLDER_VARIABLES);
    environment.put("CNI_COMMAND", Verb.VERSION.name());
    environment.put("CNI_PATH", path.toString());
    PluginProcess.ExitResult outcome;
    try {
      outcome = run(environment, input, Optional.empty(), Deadline.after(VERSION_TIMEOUT));
    } catch (CniException e) {
      if (e.getMessage().contains("unknown CNI_COMMAND")) {
        return Set.of(SpecVersion.V0_1_0);
      }
      throw e;
    }
    try {
      return supportedVersions(new ConfigObject(parse(outcome), ""));
    } catch (CniException e) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE,
          description() + " answered VERSION with what is none: " + e.getMessage(),
          e);
    }
  }

  private static Set<SpecVersion> supportedVersions(ConfigObject answer) throws CniException {
    Set<SpecVersion> versions = new LinkedHashSet<>();
    for (String text : answer.texts("supportedVersions")) {
      parseVersion(text).ifPresent(versions::add);
    }
    if (!versions.isEmpty()) {
      return versions;
    }
    // The first plugins that knew VERSION said no more than their own version.
    if (answer.parsed("cniVersion", SpecVersion::parse).equals(Optional.of(SpecVersion.V0_2_0))) {
      return Set.of(SpecVersion.V0_1_0, SpecVersion.V0_2_0);
    }
    throw answer.invalid("supportedVersions", "is missing");
  }

  /** What is no version to us is one that nobody can offer here. */
  private static Optional<SpecVersion> parseVersion(String text) {
    try {
      return Optional.of(SpecVersion.parse(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    PluginProcess.ExitResult outcome = call(Verb.ADD, request);
    ObjectNode json = parse(outcome);
    try {
      return ResultJson.read(json, request.config().version());
    } catch (CniException e) {
      throw e.withContext(description());
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    call(Verb.CHECK, request);
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    call(Verb.DEL, request);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    ObjectNode input = Json.object();
    input.setAll(request.config().json());
    ArrayNode valid = Json.object().arrayNode();
    for (AttachmentId id : request.valid()) {
      valid.addObject().put("containerID", id.containerId()).put("ifname", id.interfaceName());
    }
    for (String key : GcRequest.VALID_ATTACHMENTS) {
      input.set(key, valid);
    }
    call(Verb.GC, request, input, Map.of());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    call(Verb.STATUS, request, request.config().json(), Map.of());
  }

  private PluginProcess.ExitResult call(Verb verb, AttachmentRequest request) throws CniException {
    ObjectNode input = Json.object();
    input.setAll(request.config().json());
    if (request.prevResult().isPresent()) {
      input.set(
          "prevResult", ResultJson.write(request.prevResult().get(), request.config().version()));
    }
    Attachment attachment = request.attachment();
    Map<String, String> variables =
        Map.of(
            "CNI_CONTAINERID", attachment.containerId(),
            "CNI_NETNS", attachment.sandbox(),
            "CNI_IFNAME", attachment.interfaceName(),
            "CNI_ARGS", CniArgs.format(attachment.args()));
    return call(verb, request, input, variables);
  }

  private PluginProcess.ExitResult call(
      Verb verb, PluginRequest request, ObjectNode input, Map<String, String> variables)
      throws CniException {
    CallContext context = request.context();
    Map<String, String> environment = new HashMap<>(variables);
    environment.putAll(context.trace().variables());
    environment.put("CNI_COMMAND", verb.name());
    environment.put("CNI_PATH", path.toString());
    if (context.allowsHostNamespace()) {
      environment.put("CNI_NETNS_OVERRIDE", "1");
    }
    return run(environment, input, context.hostNamespace(), context.deadline());
  }

  private PluginProcess.ExitResult run(
      Map<String, String> environment,
      ObjectNode input,
      Optional<Path> namespace,
      Deadline deadline)
      throws CniException {
    PluginProcess.ExitResult outcome =
        PluginProcess.run(executable, environment, Json.bytes(input), namespace, deadline);
    if (!outcome.stderr().isEmpty()) {
      stderr.handle(type, outcome.stderr());
    }
    if (!outcome.succeeded()) {
      throw failureOf(outcome);
    }
    return outcome;
  }

  /** The object on standard output, which must not be an error: the status said success. */
  private ObjectNode parse(PluginProcess.ExitResult outcome) throws CniException {
    if (outcome.stdout().isBlank()) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE, description() + " ended with success but printed no result");
    }
    if (outcome.stdout().strip().equals("null")) {
      return Json.object(); // as for Go programs
    }
    ObjectNode json;
    try {
      json = Json.parse(outcome.stdout(), "what " + description() + " printed");
    } catch (CniException e) {
      throw new CniException(e.code(), e.getMessage() + ": " + excerpt(outcome.stdout()), "", e);
    }
    if (isError(json)) {
      throw errorOf(json);
    }
    return json;
  }

  /** SPEC section 5, "Error"; and something sensible for a plugin that gave none. */
  private CniException failureOf(PluginProcess.ExitResult outcome) {
    String words = outcome.stderr().strip();
    if (outcome.stdout().isBlank()) {
      return new CniException(
          ErrorCode.INTERNAL.value(),
          description()
              + " "
              + outcome.exitDescription()
              + " and printed no error"
              + (words.isEmpty() ? "" : "; on standard error: " + shorten(words)),
          words,
          null);
    }
    try {
      ObjectNode json = Json.parse(outcome.stdout(), description());
      if (isError(json) || json.path("msg").isString()) {
        return errorOf(json);
      }
    } catch (CniException e) {
      // told below, with what it printed
    }
    return new CniException(
        ErrorCode.INTERNAL.value(),
        description()
            + " "
            + outcome.exitDescription()
            + " and printed no error but: "
            + excerpt(outcome.stdout()),
        words,
        null);
  }

  private static boolean isError(ObjectNode json) {
    return json.path("code").isNumber() && json.path("code").asDouble() != 0;
  }

  private CniException errorOf(ObjectNode json) {
    int code = json.path("code").asInt(0);
    return new CniException(
        code == 0 ? ErrorCode.INTERNAL.value() : code,
        type + ": " + json.path("msg").asString("failed without a message"),
        json.path("details").asString(""),
        null);
  }

  private String description() {
    return type + " (" + executable + ")";
  }

  private static String excerpt(String output) {
    return Json.quote(shorten(output.strip()));
  }

  private static String shorten(String text) {
    return text.length() <= MAX_EXCERPT_LENGTH
        ? text
        : text.substring(0, MAX_EXCERPT_LENGTH) + "...";
  }
}
