// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginRole;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkUpdate;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The tuning plugin: sets sysctls of the container's namespace and settings of the interface that
 * an earlier plugin of the chain made. DEL restores the interface's previous settings.
 */
public final class TuningPlugin implements UpdatablePlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private final SysctlAllowList allowList;

  /** Creates the plugin; called by the ServiceLoader. */
  public TuningPlugin() {
    this(new SysctlAllowList(Path.of("/etc/cni/tuning/allowlist.conf")));
  }

  TuningPlugin(SysctlAllowList allowList) {
    this.allowList = allowList;
  }

  @Override
  public String type() {
    return "tuning";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    TuningConfig config = TuningConfig.parse(request.config(), request.attachment().args().toMap());
    allowList.requireAllowed(config.sysctl().keySet());
    Result previous = PreviousResult.require(request);
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "tuning " + request.attachment().interfaceName(),
          () -> {
            ObjectNode before = Json.object();
            setSysctls(request, config, container, before, rollback);
            if (config.changesLink()) {
              changeLink(request, config, container, before, rollback);
            }
            return updateResult(request, config, previous);
          });
    }
  }

  /**
   * Sets the sysctls.
   *
   * @param saved receives the values before
   */
  private static void setSysctls(
      AttachmentRequest request,
      TuningConfig config,
      NetNsSession container,
      ObjectNode saved,
      Rollback rollback)
      throws CniException, IOException {
    for (Map.Entry<String, String> entry : config.sysctl().entrySet()) {
      String key = sysctlKey(entry.getKey(), request);
      container.runSysctl(
          sysctl -> {
            Optional<String> before = readIfPossible(sysctl, key);
            set(sysctl, key, entry.getValue());
            before.ifPresent(
                value -> {
                  SavedLinkSettings.addSysctl(saved, key, value);
                  rollback.add(() -> container.runSysctl(it -> it.set(key, value)));
                });
          });
    }
  }

  static void set(Sysctl sysctl, String key, String value) throws IOException {
    try {
      sysctl.set(key, value);
    } catch (NoSuchFileException e) {
      throw e; // its message names the file
    } catch (IOException e) {
      String what = "sysctl %s cannot be set to %s: ".formatted(key, Json.quote(value));
      throw new IOException(what + e.getMessage(), e);
    }
  }

  /** Reads a sysctl; some are write-only, or readable only after they have been set. */
  static Optional<String> readIfPossible(Sysctl sysctl, String key) {
    try {
      return Optional.of(sysctl.get(key));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * Returns a sysctl's path below /proc/sys. Only sysctls below net/ belong to a network namespace;
   * any other would change the host.
   *
   * @throws CniException code 7 if the key names another
   */
  static String sysctlKey(String key, AttachmentRequest request) throws CniException {
    String path =
        key.replace('.', '/')
            .replaceFirst("IFNAME", request.attachment().interfaceName().replace("$", "\\$"));
    if (!TuningConfig.isNamespaced(path)) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "sysctl "
              + Json.quote(key)
              + " does not belong to a network namespace: its key must start with \"net.\"");
    }
    return path;
  }

  /** Changes the interface, after the settings before have been saved. */
  private static void changeLink(
      AttachmentRequest request,
      TuningConfig config,
      NetNsSession container,
      ObjectNode before,
      Rollback rollback)
      throws CniException, IOException {
    Link link = AttachmentCheck.requireInterface(request, container);
    var update = new LinkUpdate(link.index());
    for (LinkProperty property : LinkProperty.values()) {
      Optional<JsonNode> configured = property.configured(config);
      if (configured.isPresent()) {
        before.set(property.key(), property.actual(link));
        property.set(update, configured.get());
      }
    }
    SavedLinkSettings saved = savedSettings(request.config());
    saved.save(request.config().network(), request.attachment().id(), before);
    rollback.add(() -> saved.delete(request.attachment().id()));
    rollback.add(() -> restore(request, container, new ConfigObject(before, "saved settings")));
    container.rtnetlink().execute(update.request());
  }

  /** Returns the previous result with the interface's new hardware address and MTU. */
  private static Result updateResult(
      AttachmentRequest request, TuningConfig config, Result previous) {
    Predicate<Result.Interface> isContainers =
        PreviousResult.isContainerInterface(request, previous);
    return previous.withInterfaces(
        previous.interfaces().stream()
            .map(it -> isContainers.test(it) ? tunedInterface(it, config) : it)
            .toList());
  }

  private static Result.Interface tunedInterface(Result.Interface it, TuningConfig config) {
    return new Result.Interface(
        it.name(),
        config.mac().orElse(it.mac()),
        it.mtu() != 0 && config.mtu() != 0 ? config.mtu() : it.mtu(),
        it.sandbox(),
        it.socketPath(),
        it.pciId());
  }

  /** {@inheritDoc} All but {@code dataDir}, where the settings before have been saved. */
  @Override
  public Set<String> changeableKeys() {
    return Set.of(
        "sysctl", "mac", "mtu", "promisc", "allmulti", "txQLen", "args", "runtimeConfig.mac");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    return TuningComparison.compare(request, allowList, differences);
  }

  /**
   * {@inheritDoc}
   *
   * <p>Sysctls are not restored: they disappear with the namespace, as for the reference plugin.
   * Settings that cannot be restored are logged only: the interface is about to be deleted.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    SavedLinkSettings saved = savedSettings(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Optional<ConfigObject> settings = saved.load(request.attachment().id());
      if (settings.isPresent()) {
        NetNsSession.runIfPresent(
            request, host, container -> restore(request, container, settings.get()));
      }
      saved.delete(request.attachment().id());
    } catch (CniException e) {
      if (!e.is(ErrorCode.IO_FAILURE)) {
        throw e;
      }
      warn(request, e);
    } catch (IOException e) {
      warn(request, e);
    }
  }

  /** Restores the settings one by one: a failure must not affect the others. */
  private static void restore(AttachmentRequest request, NetNsSession container, ConfigObject saved)
      throws IOException {
    Optional<Link> link = container.rtnetlink().link(request.attachment().interfaceName());
    for (LinkProperty property : link.isPresent() ? LinkProperty.values() : new LinkProperty[0]) {
      try {
        Optional<JsonNode> value = property.saved(saved);
        if (value.isPresent()) {
          var update = new LinkUpdate(link.get().index());
          property.set(update, value.get());
          container.rtnetlink().execute(update.request());
        }
      } catch (CniException | IOException e) {
        warn(request, e);
      }
    }
  }

  private static void warn(AttachmentRequest request, Exception e) {
    LOG.get()
        .log(
            System.Logger.Level.WARNING,
            "the previous settings of interface "
                + request.attachment().interfaceName()
                + " are not restored: "
                + e.getMessage());
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    savedSettings(request.config()).deleteStale(request.config().network(), request.valid());
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    TuningConfig.validate(request.config());
    savedSettings(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    try {
      TuningConfig config = TuningConfig.parse(request.config(), Map.of());
      allowList.requireAllowed(config.sysctl().keySet());
      if (config.changesLink()) {
        savedSettings(request.config()).requireWritable();
      }
    } catch (CniException e) {
      throw new CniException(ErrorCode.NOT_AVAILABLE, e.getMessage(), e);
    }
  }

  static SavedLinkSettings savedSettings(PluginConfig config) throws CniException {
    String directory = TuningConfig.dataDir(config);
    try {
      return new SavedLinkSettings(Path.of(directory));
    } catch (InvalidPathException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, "dataDir " + Json.quote(directory) + " is not a path", e);
    }
  }
}
