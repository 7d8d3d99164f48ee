// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.debug;

import static java.nio.file.StandardOpenOption.APPEND;
import static java.nio.file.StandardOpenOption.CREATE;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.ResultJson;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.IoErrors;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.process.ChildEnvironment;
import cni.netlink.ffm.process.ChildProcess;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The debug plugin: appends every call to the file {@code cniOutput}, in the format of
 * plugins/debug of containernetworking/cni, and runs the commands of {@code addHooks}, {@code
 * delHooks} and {@code checkHooks} in the container's namespace. It returns the previous result
 * unchanged. For tests of chains and runtimes.
 */
public final class DebugPlugin implements UpdatablePlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private static final int MAX_OUTPUT_BYTES = 64 * 1024;

  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  /** Creates the plugin; called by the ServiceLoader. */
  public DebugPlugin() {}

  @Override
  public String type() {
    return "debug";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.OTHER);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    recordCall("CmdAdd", request);
    runHooks("addHooks", request);
    return request.prevResult().orElse(Result.EMPTY);
  }

  /** {@inheritDoc} Records the call and runs the hooks. */
  @Override
  public void check(AttachmentRequest request) throws CniException {
    recordCall("CmdCheck", request);
    runHooks("checkHooks", request);
  }

  /** {@inheritDoc} Those that later calls use. */
  @Override
  public Set<String> changeableKeys() {
    return Set.of("cniOutput", "checkHooks", "delHooks");
  }

  /** {@inheritDoc} There is nothing that could differ. */
  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    ConfigObject config = request.desired().config().view();
    for (String key : List.of("checkHooks", "delHooks")) {
      if (config.has(key)) {
        parseCommands(config, key);
      }
    }
    return request.desired().requirePrevResult();
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    recordCall("CmdDel", request);
    runHooks("delHooks", request);
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    recordCall("CmdGC", request, "", "", "", "", request.config().json());
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    ConfigObject config = request.config().view();
    config.nonEmpty("cniOutput");
    for (String key : List.of("addHooks", "checkHooks", "delHooks")) {
      if (config.has(key)) {
        parseCommands(config, key);
      }
    }
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    recordCall("CmdStatus", request, "", "", "", "", request.config().json());
  }

  private static void recordCall(String call, AttachmentRequest request) throws CniException {
    ObjectNode input = Json.object();
    input.setAll(request.config().json());
    if (request.prevResult().isPresent()) {
      input.set(
          "prevResult", ResultJson.write(request.prevResult().get(), request.config().version()));
    }
    recordCall(
        call,
        request,
        request.attachment().containerId(),
        request.attachment().sandbox(),
        request.attachment().interfaceName(),
        request.attachment().args().text(),
        input);
  }

  private static void recordCall(
      String call,
      PluginRequest request,
      String containerId,
      String netns,
      String ifName,
      String args,
      ObjectNode input)
      throws CniException {
    Optional<String> file = request.config().view().nonEmpty("cniOutput");
    if (file.isEmpty()) {
      return;
    }
    String text =
        """
        %s
        ContainerID: %s
        Netns: %s
        IfName: %s
        Args: %s
        Path:\s
        StdinData: %s
        ----------------------
        """
            .formatted(call, containerId, netns, ifName, args, input);
    try {
      append(Path.of(file.get()), text);
    } catch (IOException | InvalidPathException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE,
          "cniOutput " + file.get() + " cannot be written: " + IoErrors.reason(e),
          e);
    }
  }

  /** Appends to a regular file, which is created with mode 0600. A link to one is not followed. */
  private static void append(Path file, String text) throws IOException {
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)
        && !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) { // to open a FIFO would block
      throw new FileSystemException(file.toString(), null, "it is not a regular file");
    }
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, Set.of(CREATE, APPEND, LinkOption.NOFOLLOW_LINKS), OWNER_ONLY)) {
      ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    }
  }

  /** Runs the commands of a key. Commands that fail and a missing namespace are no errors. */
  private static void runHooks(String key, AttachmentRequest request) throws CniException {
    ConfigObject config = request.config().view();
    if (!config.has(key)) {
      return;
    }
    List<List<String>> hooks = parseCommands(config, key);
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      NetNsSession.runIfPresent(
          request,
          host,
          container -> {
            for (List<String> command : hooks) {
              runHook(command, container, request.context().deadline().remaining());
            }
          });
    }
  }

  private static List<List<String>> parseCommands(ConfigObject config, String key)
      throws CniException {
    JsonNode lists = config.json().get(key);
    if (lists == null
        || !lists.isArray()
        || lists.valueStream().anyMatch(it -> !it.isArray() || it.isEmpty())) {
      throw config.invalid(key, "must be a list of commands, each a non-empty list of arguments");
    }
    return lists
        .valueStream()
        .map(list -> list.valueStream().map(word -> word.asString("")).toList())
        .toList();
  }

  private static void runHook(List<String> command, NetNsSession container, Duration timeout)
      throws CniException {
    try (ChildProcess process =
        container.<ChildProcess, KernelException>callInside(
            () ->
                ChildProcess.start(
                    command, ChildEnvironment.inherited(), new byte[0], MAX_OUTPUT_BYTES))) {
      boolean ended = process.communicate(timeout);
      if (!ended || process.exitStatus().orElse(1) != 0) {
        LOG.get()
            .log(
                System.Logger.Level.WARNING,
                "hook " + command + " failed: " + process.output() + process.errorOutput());
      }
    } catch (KernelException e) {
      LOG.get().log(System.Logger.Level.WARNING, "hook " + command + ": " + e.getMessage());
    } catch (InterruptedException e) {
      throw CniException.interrupted("running hook " + command);
    }
  }
}
