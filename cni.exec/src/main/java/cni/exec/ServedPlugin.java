package cni.exec;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniArgs;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Delegates;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.Names;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.SpecVersion;
import cni.api.TraceContext;
import cni.api.Verb;
import cni.api.internal.CniCallable;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.netns.NetNs;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A plugin served as an executable, by the execution protocol (SPEC section 2): what the Go
 * library's skel package does. The request comes by the environment and standard input, the result
 * or the error goes to standard output, the exit status says which.
 */
public final class ServedPlugin {
  /** A configuration takes a few kilobytes; whoever sends more than this means no good. */
  static final int MAX_INPUT_BYTES = 8 * 1024 * 1024;

  private static final int SUCCESS = 0;
  private static final int FAILURE = 1;

  private final NetworkPlugin plugin;
  private final String description;
  private final Delegates delegates;
  private final Optional<Path> hostNamespace;

  /**
   * Serves a plugin in the network namespace of this process.
   *
   * @param about a line that says what this is, for people who run it by hand
   * @param delegates the way to the plugins on CNI_PATH
   */
  public ServedPlugin(NetworkPlugin plugin, String about, Delegates delegates) {
    this(plugin, about, delegates, Optional.empty());
  }

  /**
   * Serves a plugin as if this process were in another network namespace.
   *
   * @param hostNamespace its path; absent for the process's own
   */
  public ServedPlugin(
      NetworkPlugin plugin, String about, Delegates delegates, Optional<Path> hostNamespace) {
    this.plugin = plugin;
    this.description = about;
    this.delegates = delegates;
    this.hostNamespace = hostNamespace;
  }

  /**
   * Serves the request that this process was started with. Delegates are looked for on CNI_PATH.
   *
   * @param about a line that says what this is, for people who run it by hand
   * @return the exit status
   */
  public static int serveProcess(NetworkPlugin plugin, String about) {
    PluginPath path = PluginPath.parse(System.getenv().getOrDefault("CNI_PATH", ""));
    Delegates onPath =
        type ->
            path.findPlugin(type, StderrHandler.TO_STDERR)
                .orElseThrow(
                    () ->
                        new CniException(
                            ErrorCode.INVALID_CONFIG,
                            "there is no plugin " + type + " in " + path));
    return new ServedPlugin(plugin, about, onPath)
        .serve(System.getenv(), System.in, System.out, System.err);
  }

  /**
   * Serves one request.
   *
   * @param environment the process's
   * @return the exit status: 0 for success, 1 for an error that has been printed
   */
  public int serve(
      Map<String, String> environment, InputStream in, PrintStream out, PrintStream err) {
    var version = SpecVersion.CURRENT;
    try {
      String command = environment.getOrDefault("CNI_COMMAND", "");
      if (command.isEmpty()) {
        err.println(description);
        err.println("CNI protocol versions supported: " + join(supported()));
        return SUCCESS;
      }
      var variables = new Variables(environment, verb(command), hostNamespace);
      if (variables.verb() == Verb.VERSION) {
        // Whoever asks need not close our input, so it is not waited for, as by skel.
        out.println(Json.pretty(versionResult(supported())));
        return SUCCESS;
      }
      variables.require();
      ObjectNode config = readConfig(in);
      version = versionOf(config, version);
      requireVersion(config, variables.verb());
      Optional<ObjectNode> result = call(variables, config, err);
      result.ifPresent(json -> out.println(Json.pretty(json)));
      return SUCCESS;
    } catch (CniException e) {
      out.println(Json.pretty(e.toJson(version)));
      return FAILURE;
    } catch (RuntimeException e) { // a mistake in the plugin
      err.println(plugin.type() + ": unexpected " + e);
      var told = new CniException(ErrorCode.INTERNAL, plugin.type() + ": unexpected " + e, e);
      out.println(Json.pretty(told.toJson(version)));
      return FAILURE;
    } finally {
      out.flush();
    }
  }

  private static Verb verb(String command) throws CniException {
    for (Verb verb : Verb.values()) {
      if (verb.name().equals(command)) {
        return verb;
      }
    }
    throw new CniException(
        ErrorCode.INVALID_PARAMETER,
        "unknown CNI_COMMAND: " + Json.quote(command) + " is none of " + List.of(Verb.values()));
  }

  private List<SpecVersion> supported() throws CniException {
    return plugin.versions().stream().sorted().toList();
  }

  private static String join(List<SpecVersion> versions) {
    return versions.stream().map(SpecVersion::toString).collect(Collectors.joining(", "));
  }

  /** What a plugin that supports these versions answers to VERSION (SPEC section 5). */
  public static ObjectNode versionResult(List<SpecVersion> supported) {
    ObjectNode answer = Json.object().put("cniVersion", SpecVersion.CURRENT.toString());
    ArrayNode versions = answer.putArray("supportedVersions");
    supported.forEach(version -> versions.add(version.toString()));
    return answer;
  }

  private static SpecVersion versionOf(ObjectNode config, SpecVersion otherwise)
      throws CniException {
    return wantedVersion(config).filter(SpecVersion::isKnown).orElse(otherwise);
  }

  /** SPEC section 5, code 6: "failed to decode version info". */
  private static Optional<SpecVersion> wantedVersion(ObjectNode config) throws CniException {
    try {
      return new ConfigObject(config, "").parsed("cniVersion", SpecVersion::parse);
    } catch (CniException e) {
      throw new CniException(ErrorCode.DECODING_FAILURE, e.getMessage(), e);
    }
  }

  private static byte[] read(InputStream in) throws CniException {
    byte[] bytes;
    try {
      bytes = in.readNBytes(MAX_INPUT_BYTES + 1);
    } catch (IOException e) {
      throw new CniException(ErrorCode.IO_FAILURE, "standard input cannot be read: " + e, e);
    }
    if (bytes.length > MAX_INPUT_BYTES) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "standard input is longer than " + MAX_INPUT_BYTES + " bytes, which no configuration is");
    }
    return bytes;
  }

  private static ObjectNode readConfig(InputStream in) throws CniException {
    byte[] bytes = read(in);
    if (bytes.length == 0) {
      throw new CniException(
          ErrorCode.DECODING_FAILURE,
          "standard input is empty; it must be the plugin's configuration");
    }
    ObjectNode config = Json.parse(bytes, "the configuration on standard input");
    var view = new ConfigObject(config, "");
    Names.requireNetworkName(
        view.text("name")
            .orElseThrow(() -> view.invalid("name", "is missing: the name of the network")));
    return config;
  }

  private void requireVersion(ObjectNode config, Verb verb) throws CniException {
    SpecVersion wanted = wantedVersion(config).orElse(SpecVersion.V0_1_0);
    if (!plugin.versions().contains(wanted)) {
      throw new CniException(
          ErrorCode.INCOMPATIBLE_VERSION,
          "incompatible CNI versions: config is %s, plugin %s supports %s"
              .formatted(wanted, plugin.type(), join(supported())));
    }
    verb.requireDefinedIn(wanted);
  }

  /**
   * Calls the plugin; what it answers in the configuration's version, if the verb has an answer.
   */
  private Optional<ObjectNode> call(Variables variables, ObjectNode json, PrintStream err)
      throws CniException {
    Verb verb = variables.verb();
    PluginConfig config = ownConfig(json);
    CallContext context = variables.context(delegates);
    switch (verb) {
      case GC -> plugin.gc(new GcRequest(config, validAttachments(json), context));
      case STATUS -> plugin.status(new NetworkRequest(config, context));
      case VERSION -> throw new IllegalStateException("has been answered");
      case ADD, DEL, CHECK -> {
        if (verb != Verb.CHECK) {
          variables.requireOtherNamespace(context);
        }
        Optional<Result> previous = readUnlessDelete(verb, err, () -> previousResult(json));
        Optional<Map<String, String>> args =
            readUnlessDelete(
                verb, err, () -> Optional.of(CniArgs.parse(variables.get("CNI_ARGS"))));
        Attachment attachment = variables.attachment(args.orElse(Map.of()));
        return call(verb, new AttachmentRequest(config, attachment, previous, context));
      }
    }
    return Optional.empty();
  }

  private Optional<ObjectNode> call(Verb verb, AttachmentRequest request) throws CniException {
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

  /** What DEL does not need must not keep it from its work. */
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

  /** The plugin's configuration without what the protocol adds to it. */
  private PluginConfig ownConfig(ObjectNode json) throws CniException {
    ObjectNode own = Json.object();
    own.setAll(json);
    own.remove("prevResult");
    GcRequest.VALID_ATTACHMENTS.forEach(own::remove);
    try {
      // Where this is a delegate, the type is that of the plugin that calls it.
      return PluginConfig.of(new ConfigObject(own, ""));
    } catch (CniException e) {
      if (own.has("type") && !own.get("type").isString() && !own.get("type").isNull()) {
        throw e;
      }
      own.put("type", plugin.type()); // by then it does not matter any more
      return PluginConfig.of(new ConfigObject(own, ""));
    }
  }

  private static Optional<Result> previousResult(ObjectNode json) throws CniException {
    var view = new ConfigObject(json, "");
    Optional<ConfigObject> previous = view.object("prevResult");
    if (previous.isEmpty()) {
      return Optional.empty();
    }
    SpecVersion assumed = view.parsed("cniVersion", SpecVersion::parse).orElse(SpecVersion.V0_1_0);
    try {
      return Optional.of(ResultJson.read(previous.get().json(), assumed));
    } catch (CniException e) {
      throw e.withContext("prevResult");
    }
  }

  private static Set<AttachmentId> validAttachments(ObjectNode json) throws CniException {
    var view = new ConfigObject(json, "");
    Set<AttachmentId> valid = new HashSet<>();
    for (String key : GcRequest.VALID_ATTACHMENTS) {
      for (ConfigObject it : view.objects(key)) {
        valid.add(
            new AttachmentId(it.text("containerID").orElse(""), it.text("ifname").orElse("")));
      }
    }
    return valid;
  }

  /** What the environment says of a call. */
  private record Variables(
      Map<String, String> environment, Verb verb, Optional<Path> hostNamespace) {
    private static final List<String> OF_ATTACHMENTS =
        List.of("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME");

    String get(String name) {
      return environment.getOrDefault(name, "");
    }

    /** Requires what the verb needs, with skel's codes: 4, naming the variables. */
    void require() throws CniException {
      String missing =
          OF_ATTACHMENTS.stream()
              .filter(name -> isNeeded(name) && get(name).isEmpty())
              .collect(Collectors.joining(","));
      if (get("CNI_PATH").isEmpty()) {
        missing += (missing.isEmpty() ? "" : ",") + "CNI_PATH";
      }
      if (!missing.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "required env variables [" + missing + "] missing for " + verb);
      }
      if (isOfAttachment()) {
        Names.requireContainerId(get("CNI_CONTAINERID"));
        Names.requireInterfaceName(get("CNI_IFNAME"));
      }
    }

    private boolean isOfAttachment() {
      return verb == Verb.ADD || verb == Verb.DEL || verb == Verb.CHECK;
    }

    private boolean isNeeded(String name) {
      return isOfAttachment() && !(verb == Verb.DEL && name.equals("CNI_NETNS"));
    }

    Attachment attachment(Map<String, String> args) {
      String netns = get("CNI_NETNS");
      return new Attachment(
          new AttachmentId(get("CNI_CONTAINERID"), get("CNI_IFNAME")),
          netns.isEmpty() ? Optional.empty() : Optional.of(Path.of(netns)),
          args,
          Map.of());
    }

    /**
     * As the Go library does; whether there is a namespace at all is for the plugin to find out.
     */
    void requireOtherNamespace(CallContext context) throws CniException {
      if (context.allowsHostNamespace() || get("CNI_NETNS").isEmpty()) {
        return;
      }
      boolean same;
      try (NetNs netns = NetNs.open(Path.of(get("CNI_NETNS")))) {
        same = netns.identity().equals(hostIdentity());
      } catch (KernelException e) {
        return;
      }
      if (same) {
        throw new CniException(
            ErrorCode.INVALID_NAMESPACE,
            "CNI_NETNS "
                + get("CNI_NETNS")
                + " is the namespace that this plugin runs in; give the container's, or set"
                + " CNI_NETNS_OVERRIDE=1 if it is meant");
      }
    }

    private NetNs.Identity hostIdentity() throws KernelException {
      if (hostNamespace.isEmpty()) {
        return NetNs.ownIdentity();
      }
      try (NetNs host = NetNs.open(hostNamespace.get())) {
        return host.identity();
      }
    }

    CallContext context(Delegates delegates) {
      String override = get("CNI_NETNS_OVERRIDE");
      boolean same = override.equalsIgnoreCase("true") || override.equals("1");
      return new CallContext(
          hostNamespace, same, Deadline.none(), delegates, new TraceContext(environment));
    }
  }
}
