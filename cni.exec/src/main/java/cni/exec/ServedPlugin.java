// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import cni.api.Attachment;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.api.internal.CniCallable;
import cni.api.internal.StackTraces;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Serves a plugin as an executable by the execution protocol (SPEC section 2), as the Go library's
 * skel package does. The request is read from the environment and standard input; the result or
 * error is written to standard output, and the exit status is 0 or 1.
 */
public final class ServedPlugin {
  private static final int SUCCESS = 0;
  private static final int FAILURE = 1;

  /** The answer if there is not even the memory to make one. */
  private static final byte[] OUT_OF_MEMORY =
      "{ \"cniVersion\": \"1.1.0\", \"code\": 999, \"msg\": \"out of memory\" }\n"
          .getBytes(StandardCharsets.US_ASCII);

  private final NetworkPlugin plugin;
  private final String description;
  private final Delegates delegates;
  private final Optional<Path> hostNamespace;
  private final Traces traces;

  /** The causes of errors whose stack traces are added to an error without details. */
  enum Traces {
    /** Exceptions that no plugin should throw: the messages of other causes say enough. */
    BUGS,
    /** All causes, for the author of the plugin; the same as if it runs as a module. */
    ALL_CAUSES
  }

  /**
   * Creates a server that runs the plugin in the network namespace of this process.
   *
   * @param description one line that is printed if the executable is run without CNI_COMMAND
   * @param delegates finds the plugins on CNI_PATH
   */
  public ServedPlugin(NetworkPlugin plugin, String description, Delegates delegates) {
    this(plugin, description, delegates, Optional.empty());
  }

  /**
   * Creates a server that runs the plugin as if this process were in another network namespace.
   *
   * @param description one line that is printed if the executable is run without CNI_COMMAND
   * @param delegates finds the plugins on CNI_PATH
   * @param hostNamespace the path of that namespace; absent for the process's own
   */
  public ServedPlugin(
      NetworkPlugin plugin, String description, Delegates delegates, Optional<Path> hostNamespace) {
    this(plugin, description, delegates, hostNamespace, Traces.BUGS);
  }

  ServedPlugin(
      NetworkPlugin plugin,
      String description,
      Delegates delegates,
      Optional<Path> hostNamespace,
      Traces traces) {
    this.plugin = plugin;
    this.description = description;
    this.delegates = delegates;
    this.hostNamespace = hostNamespace;
    this.traces = traces;
  }

  /**
   * Serves the request that this process was started with. Delegates are looked up on CNI_PATH. The
   * stack traces of the causes of an error that has no details become its details.
   *
   * @param description one line that is printed if the executable is run without CNI_COMMAND
   * @return the exit status
   */
  public static int serveProcess(NetworkPlugin plugin, String description) {
    PluginPath path = PluginPath.parse(System.getenv().getOrDefault("CNI_PATH", ""));
    Delegates onPath =
        type ->
            path.findPlugin(type, StderrHandler.TO_STDERR)
                .orElseThrow(
                    () ->
                        new CniException(
                            ErrorCode.INVALID_CONFIG,
                            "there is no plugin " + type + " in " + path));
    return new ServedPlugin(plugin, description, onPath, Optional.empty(), Traces.ALL_CAUSES)
        .serve(System.getenv(), System.in, System.out, System.err);
  }

  /**
   * Serves one request.
   *
   * @param environment the environment of the process
   * @return the exit status: 0 for success, 1 for an error, which has been written to {@code out}
   */
  public int serve(
      Map<String, String> environment, InputStream in, PrintStream out, PrintStream err) {
    var version = SpecVersion.CURRENT;
    try {
      String command = environment.getOrDefault("CNI_COMMAND", "");
      if (command.isEmpty()) {
        err.println(description);
        err.println("CNI protocol versions supported: " + SpecVersion.join(supportedVersions()));
        return SUCCESS;
      }
      var call = CallEnvironment.of(command, environment, hostNamespace);
      if (call.verb() == Verb.VERSION) {
        // Standard input is not read: as for skel, the caller need not close it.
        Json.print(versionResult(supportedVersions()), out);
        return SUCCESS;
      }
      call.requireVariables();
      ServedConfig config = ServedConfig.read(in);
      version = config.version().filter(SpecVersion::isKnown).orElse(version);
      requireVersion(config, call.verb());
      Optional<ObjectNode> result = invoke(call, config, err);
      result.ifPresent(json -> Json.print(json, out));
      return SUCCESS;
    } catch (CniException e) {
      Json.print(withTrace(e).toJson(version), out);
      return FAILURE;
    } catch (RuntimeException | Error e) { // a bug in the plugin, or no memory
      printUnexpected(e, version, out, err);
      return FAILURE;
    } finally {
      out.flush();
    }
  }

  /**
   * Adds the stack trace of the cause to an error without details. Invalid input has none: parsers
   * report it by unchecked exceptions, too.
   */
  private CniException withTrace(CniException e) {
    Throwable cause = e.getCause();
    boolean isUnchecked = cause instanceof RuntimeException || cause instanceof Error;
    boolean isBug = isUnchecked && e.is(ErrorCode.INTERNAL);
    boolean isInput = e.is(ErrorCode.DECODING_FAILURE) || e.is(ErrorCode.INVALID_CONFIG);
    boolean isTraced = isBug || (traces == Traces.ALL_CAUSES && !isInput);
    return cause != null && e.details().isEmpty() && isTraced
        ? e.withDetails(StackTraces.of(cause))
        : e;
  }

  private void printUnexpected(
      Throwable failure, SpecVersion version, PrintStream out, PrintStream err) {
    try {
      String message = plugin.type() + ": unexpected " + failure;
      String trace = StackTraces.of(failure);
      var error = new CniException(ErrorCode.INTERNAL.value(), message, trace, failure);
      Json.print(error.toJson(version), out);
      err.println(error.getMessage());
      err.println(error.details());
    } catch (OutOfMemoryError e) {
      out.write(OUT_OF_MEMORY, 0, OUT_OF_MEMORY.length);
    }
  }

  private List<SpecVersion> supportedVersions() throws CniException {
    return plugin.versions().stream().sorted().toList();
  }

  /** Returns the result of VERSION of a plugin that supports these versions (SPEC section 5). */
  public static ObjectNode versionResult(List<SpecVersion> supported) {
    ObjectNode result = Json.object().put("cniVersion", SpecVersion.CURRENT.toString());
    ArrayNode versions = result.putArray("supportedVersions");
    supported.forEach(version -> versions.add(version.toString()));
    return result;
  }

  private void requireVersion(ServedConfig config, Verb verb) throws CniException {
    SpecVersion version = config.version().orElse(SpecVersion.V0_1_0);
    if (!plugin.versions().contains(version)) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "incompatible CNI versions: config is %s, plugin %s supports %s"
              .formatted(version, plugin.type(), SpecVersion.join(supportedVersions())));
    }
    verb.requireDefinedIn(version);
  }

  /** Calls the plugin and returns its result in the configuration's version, if there is one. */
  private Optional<ObjectNode> invoke(CallEnvironment call, ServedConfig input, PrintStream err)
      throws CniException {
    Verb verb = call.verb();
    PluginConfig config = input.pluginConfig(plugin.type());
    CallContext context = call.context(delegates);
    switch (verb) {
      case GC -> plugin.gc(new GcRequest(config, input.validAttachments(), context));
      case STATUS -> plugin.status(new NetworkRequest(config, context));
      case VERSION -> throw new IllegalStateException("VERSION has been served");
      case ADD, DEL, CHECK -> {
        if (verb != Verb.CHECK) {
          call.requireOtherNamespace(context);
        }
        Optional<Result> prevResult = readUnlessDelete(verb, err, input::prevResult);
        Attachment attachment = call.attachment(args(call, err));
        return invoke(verb, new AttachmentRequest(config, attachment, prevResult, context));
      }
    }
    return Optional.empty();
  }

  /** Malformed arguments are refused by the plugins that read them. */
  private CniArgs args(CallEnvironment call, PrintStream err) throws CniException {
    var args = CniArgs.ofText(call.get("CNI_ARGS"));
    Optional<Map<String, String>> wellFormed =
        call.verb() == Verb.DEL
            ? readUnlessDelete(Verb.DEL, err, () -> Optional.of(args.toMap()))
            : Optional.of(Map.of());
    return wellFormed.isPresent() ? args : CniArgs.NONE;
  }

  private Optional<ObjectNode> invoke(Verb verb, AttachmentRequest request) throws CniException {
    if (verb == Verb.ADD) {
      Result result = plugin.add(request);
      return Optional.of(ResultJson.write(result, request.config().version()));
    }
    if (verb == Verb.DEL) {
      plugin.delete(request);
    } else {
      plugin.check(request);
    }
    return Optional.empty();
  }

  /** DEL must succeed even if parts of the request that it can do without are malformed. */
  private <T> Optional<T> readUnlessDelete(
      Verb verb, PrintStream err, CniCallable<Optional<T>> part) throws CniException {
    try {
      return part.call();
    } catch (CniException e) {
      if (verb != Verb.DEL) {
        throw e;
      }
      err.println(plugin.type() + ": DEL goes on without it: " + e.getMessage());
      return Optional.empty();
    }
  }
}
