package cni.plugins.meta.tuning;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.Rollback;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.Link;
import cni.netlink.ffm.route.LinkConstants;
import cni.netlink.ffm.route.LinkUpdate;
import cni.netlink.ffm.route.Mac;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import tools.jackson.databind.node.ObjectNode;

/**
 * The tuning plugin: sets sysctls of the container's namespace and settings of the interface that
 * an earlier plugin of the chain made. DEL restores the interface's previous settings.
 */
public final class TuningPlugin implements NetworkPlugin {
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
            setSysctls(request, config, container, rollback);
            if (config.changesLink()) {
              changeLink(request, config, container, rollback);
            }
            return updateResult(request, config, previous);
          });
    }
  }

  private static void setSysctls(
      AttachmentRequest request, TuningConfig config, NetNsSession container, Rollback rollback)
      throws CniException, IOException {
    for (Map.Entry<String, String> entry : config.sysctl().entrySet()) {
      String key = sysctlKey(entry.getKey(), request);
      container.runSysctl(
          sysctl -> {
            Optional<String> before = readIfPossible(sysctl, key);
            set(sysctl, key, entry.getValue());
            before.ifPresent(
                value -> rollback.add(() -> container.runSysctl(it -> it.set(key, value))));
          });
    }
  }

  private static void set(Sysctl sysctl, String key, String value) throws IOException {
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
  private static Optional<String> readIfPossible(Sysctl sysctl, String key) {
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
  private static String sysctlKey(String key, AttachmentRequest request) throws CniException {
    String path =
        key.replace('.', '/')
            .replaceFirst("IFNAME", request.attachment().interfaceName().replace("$", "\\$"));
    boolean hasBadStep =
        List.of(path.split("/", -1)).stream().anyMatch(it -> it.equals("..") || it.isEmpty());
    if (!path.startsWith("net/") || hasBadStep || path.indexOf('\0') >= 0) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "sysctl "
              + Json.quote(key)
              + " does not belong to a network namespace: its key must start with \"net.\"");
    }
    return path;
  }

  private static void changeLink(
      AttachmentRequest request, TuningConfig config, NetNsSession container, Rollback rollback)
      throws CniException, IOException {
    Link link = AttachmentCheck.requireInterface(request, container);
    ObjectNode before = currentSettings(link, config);
    SavedLinkSettings saved = savedSettings(request.config());
    saved.save(request.config().network(), request.attachment().id(), before);
    rollback.add(() -> saved.delete(request.attachment().id()));
    rollback.add(
        () -> {
          LinkUpdate restoring = restoringUpdate(link, new ConfigObject(before, ""));
          container.rtnetlink().execute(restoring.request());
        });
    container.rtnetlink().execute(configuredUpdate(link, config).request());
  }

  /** Returns the current values of the settings that will be changed, for the saved file. */
  private static ObjectNode currentSettings(Link link, TuningConfig config) {
    ObjectNode json = Json.object();
    if (config.mac().isPresent()) {
      json.put("mac", link.mac());
    }
    if (config.promiscuous()) {
      json.put("promisc", link.promiscuity() != 0);
    }
    if (config.mtu() != 0) {
      json.put("mtu", link.mtu());
    }
    if (config.allMulticast().isPresent()) {
      json.put("allmulti", isAllMulticast(link));
    }
    if (config.txQueueLength().isPresent()) {
      json.put("txQLen", link.txQueueLength());
    }
    return json;
  }

  private static LinkUpdate configuredUpdate(Link link, TuningConfig config) {
    var update = new LinkUpdate(link.index());
    config.mac().ifPresent(mac -> update.mac(Mac.parse(mac)));
    if (config.mtu() != 0) {
      update.mtu(config.mtu());
    }
    if (config.promiscuous()) {
      update.promiscuous(true);
    }
    config.allMulticast().ifPresent(update::allMulticast);
    config.txQueueLength().ifPresent(update::txQueueLength);
    return update;
  }

  /** Returns the update that restores saved settings. */
  private static LinkUpdate restoringUpdate(Link link, ConfigObject saved) throws CniException {
    var update = new LinkUpdate(link.index());
    saved.parsed("mac", Mac::parse).ifPresent(update::mac);
    int mtu = saved.integer("mtu", 0, Integer.MAX_VALUE).orElse(0);
    if (mtu != 0) {
      update.mtu(mtu);
    }
    if (saved.has("promisc")) {
      update.promiscuous(saved.bool("promisc"));
    }
    if (saved.has("allmulti")) {
      update.allMulticast(saved.bool("allmulti"));
    }
    saved.integer("txQLen", 0, Integer.MAX_VALUE).ifPresent(update::txQueueLength);
    return update;
  }

  private static boolean isAllMulticast(Link link) {
    return (link.flags() & LinkConstants.IFF_ALLMULTI) != 0;
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

  @Override
  public void check(AttachmentRequest request) throws CniException {
    TuningConfig config = TuningConfig.parse(request.config(), request.attachment().args().toMap());
    PreviousResult.require(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      Link link = AttachmentCheck.requireInterface(request, container);
      for (Map.Entry<String, String> entry : config.sysctl().entrySet()) {
        requireSysctl(container, sysctlKey(entry.getKey(), request), entry.getValue());
      }
      require(link, "hardware address", config.mac().orElse(link.mac()), link.mac());
      require(link, "MTU", config.mtu() == 0 ? link.mtu() : config.mtu(), link.mtu());
      require(link, "promiscuous mode", config.promiscuous(), link.promiscuity() != 0);
      boolean allMulticast = isAllMulticast(link);
      require(link, "all-multicast mode", config.allMulticast().orElse(allMulticast), allMulticast);
      int length = link.txQueueLength();
      require(link, "transmit queue length", config.txQueueLength().orElse(length), length);
    } catch (IOException e) {
      throw NetNsSession.failure("checking " + request.attachment().interfaceName(), e);
    }
  }

  private static void requireSysctl(NetNsSession container, String key, String expected)
      throws CniException, IOException {
    String actual = container.<String, IOException>callInside(() -> Sysctl.KERNEL.get(key));
    // The kernel separates multiple numbers by tabs, configurations usually by spaces.
    if (!words(actual).equals(words(expected))) {
      throw AttachmentCheck.mismatch(
          "sysctl %s is %s, expected %s".formatted(key, Json.quote(actual), Json.quote(expected)));
    }
  }

  private static List<String> words(String text) {
    return List.of(text.strip().split("\\s+", -1));
  }

  private static void require(Link link, String property, Object expected, Object actual)
      throws CniException {
    if (!expected.equals(actual)) {
      throw AttachmentCheck.mismatch(
          "%s of interface %s is %s, expected %s"
              .formatted(property, link.name(), actual, expected));
    }
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
    for (String property : link.isPresent() ? saved.keys() : List.<String>of()) {
      ObjectNode single = Json.object();
      single.set(property, saved.json().get(property));
      try {
        LinkUpdate update =
            restoringUpdate(link.orElseThrow(), new ConfigObject(single, "saved settings"));
        if (!update.isEmpty()) {
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

  private static SavedLinkSettings savedSettings(PluginConfig config) throws CniException {
    String directory = TuningConfig.dataDir(config);
    try {
      return new SavedLinkSettings(Path.of(directory));
    } catch (InvalidPathException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, "dataDir " + Json.quote(directory) + " is not a path", e);
    }
  }
}
