// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
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
 * A plugin that runs an executable by the execution protocol (SPEC section 2), in the host
 * namespace of the request.
 *
 * <p>The executable gets the whole environment of this process, or that of the caller for whom this
 * process works, as from the Go library: plugins find the programs that they run by PATH, and
 * credentials, proxies and their own settings in variables that no list could name. The variables
 * of the protocol (CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS, CNI_PATH,
 * CNI_NETNS_OVERRIDE) are those of the call and never inherited, nor are those of a trace
 * (TRACEPARENT, TRACESTATE, BAGGAGE) if the call has one. A process that runs with more privileges
 * than its caller has to remove what it does not trust from its environment before.
 *
 * <p>The executable is killed with its process group at the deadline, at an interrupt and when this
 * process dies. Besides the standard streams it inherits descriptor 3, a pipe by which the kernel
 * does the last, and in an ADD descriptor 4, the lock that says to other processes that it still
 * runs ({@link CallContext#lockFile}).
 */
public final class ExecutablePlugin implements NetworkPlugin {
  private static final Duration VERSION_TIMEOUT = Duration.ofSeconds(10);

  /**
   * Values for VERSION, which has no attachment: plugins of version 0.1.0 check these variables
   * before they report that VERSION is unknown.
   */
  private static final Map<String, String> PLACEHOLDER_VARIABLES =
      Map.of("CNI_CONTAINERID", "dummy", "CNI_NETNS", "dummy", "CNI_IFNAME", "dummy");

  private final String type;
  private final Path executable;
  private final PluginPath path;
  private final StderrHandler stderr;
  private final PluginOutput output;
  private final Optional<CallerContext> caller;

  /**
   * Creates a plugin that inherits the environment of this process.
   *
   * @param type the plugin's type
   * @param executable the file to run
   * @param path the CNI_PATH on which the executable finds its delegates
   * @param stderr receives the executable's standard error
   */
  public ExecutablePlugin(String type, Path executable, PluginPath path, StderrHandler stderr) {
    this(type, executable, path, stderr, Optional.empty());
  }

  /**
   * Creates a plugin.
   *
   * @param type the plugin's type
   * @param executable the file to run
   * @param path the CNI_PATH on which the executable finds its delegates
   * @param stderr receives the executable's standard error
   * @param caller what it inherits; absent if it inherits from this process
   */
  public ExecutablePlugin(
      String type,
      Path executable,
      PluginPath path,
      StderrHandler stderr,
      Optional<CallerContext> caller) {
    this.type = type;
    this.executable = executable;
    this.path = path;
    this.stderr = stderr;
    this.output = new PluginOutput(type, executable);
    this.caller = caller;
  }

  @Override
  public String type() {
    return type;
  }

  /** Returns the file that is run. */
  public Path executable() {
    return executable;
  }

  /**
   * {@inheritDoc}
   *
   * <p>Runs the executable with VERSION.
   */
  @Override
  public Set<SpecVersion> versions() throws CniException {
    ObjectNode input = Json.object().put("cniVersion", SpecVersion.CURRENT.toString());
    Map<String, String> environment = new HashMap<>(PLACEHOLDER_VARIABLES);
    environment.put("CNI_COMMAND", Verb.VERSION.name());
    environment.put("CNI_PATH", path.toString());
    PluginProcess.ExitResult exit;
    try {
      Deadline deadline = Deadline.after(VERSION_TIMEOUT);
      exit = run(environment, input, Optional.empty(), Optional.empty(), deadline);
    } catch (CniException e) {
      if (e.getMessage().contains("unknown CNI_COMMAND")) {
        return Set.of(SpecVersion.V0_1_0);
      }
      throw e;
    }
    try {
      return supportedVersions(new ConfigObject(output.parse(exit), ""));
    } catch (CniException e) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE,
          output.description() + " printed no valid result of VERSION: " + e.getMessage(),
          e);
    }
  }

  private static Set<SpecVersion> supportedVersions(ConfigObject reply) throws CniException {
    Set<SpecVersion> versions = new LinkedHashSet<>();
    for (String text : reply.texts("supportedVersions")) {
      parseVersion(text).ifPresent(versions::add);
    }
    if (!versions.isEmpty()) {
      return versions;
    }
    // Plugins of version 0.2.0 may print only cniVersion, and support 0.1.0 as well.
    if (reply.parsed("cniVersion", SpecVersion::parse).equals(Optional.of(SpecVersion.V0_2_0))) {
      return Set.of(SpecVersion.V0_1_0, SpecVersion.V0_2_0);
    }
    throw reply.invalid("supportedVersions", "is missing");
  }

  /** Malformed versions are ignored: no configuration can use them. */
  private static Optional<SpecVersion> parseVersion(String text) {
    try {
      return Optional.of(SpecVersion.parse(text));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    PluginProcess.ExitResult exit = call(Verb.ADD, request);
    ObjectNode json = output.parse(exit);
    try {
      return ResultJson.read(json, request.config().version());
    } catch (CniException e) {
      throw e.withContext(output.description());
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
            "CNI_ARGS", attachment.args().text());
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
    return run(environment, input, context.hostNamespace(), context.lockFile(), context.deadline());
  }

  private PluginProcess.ExitResult run(
      Map<String, String> environment,
      ObjectNode input,
      Optional<Path> namespace,
      Optional<Path> lockFile,
      Deadline deadline)
      throws CniException {
    PluginProcess.ExitResult exit =
        PluginProcess.run(
            executable, caller, environment, Json.bytes(input), namespace, lockFile, deadline);
    if (!exit.stderr().isEmpty()) {
      stderr.handle(type, exit.stderr());
    }
    if (!exit.succeeded()) {
      throw output.failureOf(exit);
    }
    return exit;
  }
}
