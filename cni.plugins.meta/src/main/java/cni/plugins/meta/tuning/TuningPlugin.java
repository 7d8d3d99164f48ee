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
 * Sets kernel parameters of the container's namespace and properties of an interface that an
 * earlier plugin of the chain made. DEL gives the interface the properties that it had before.
 */
public final class TuningPlugin implements NetworkPlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private final SysctlAllowList allowList;

  /** The plugin as the runtime makes it. */
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
    TuningConfig config = TuningConfig.parse(request.config(), request.attachment().args());
    allowList.requireAllowed(config.sysctl().keySet());
    Result previous = PreviousResult.require(request);
    var rollback = new Rollback();
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      return rollback.guard(
          "tuning " + request.attachment().interfaceName(),
          () -> {
            setSysctls(request, config, sandbox, rollback);
            if (config.changesLink()) {
              changeLink(request, config, sandbox, rollback);
            }
            return updateResult(request, config, previous);
          });
    }
  }

  private static void setSysctls(
      AttachmentRequest request, TuningConfig config, NetNsSession sandbox, Rollback rollback)
      throws CniException, IOException {
    for (Map.Entry<String, String> entry : config.sysctl().entrySet()) {
      String key = sysctlKey(entry.getKey(), request);
      sandbox.runSysctl(
          sysctl -> {
            Optional<String> before = readIfPossible(sysctl, key);
            set(sysctl, key, entry.getValue());
            before.ifPresent(
                value -> rollback.add(() -> sandbox.runSysctl(it -> it.set(key, value))));
          });
    }
  }

  private static void set(Sysctl sysctl, String key, String value) throws IOException {
    try {
      sysctl.set(key, value);
    } catch (NoSuchFileException e) {
      throw e; // names the file
    } catch (IOException e) {
      String what = "sysctl %s cannot be set to %s: ".formatted(key, Json.quote(value));
      throw new IOException(what + e.getMessage(), e);
    }
  }

  /** Some parameters can only be set, or only read once they have been. */
  private static Optional<String> readIfPossible(Sysctl sysctl, String key) {
    try {
      return Optional.of(sysctl.get(key));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * The parameter's path below /proc/sys. Only parameters of the network are a namespace's own; any
   * other would be the host's.
   */
  private static String sysctlKey(String key, AttachmentRequest request) throws CniException {
    String path =
        key.replace('.', '/')
            .replaceFirst("IFNAME", request.attachment().interfaceName().replace("$", "\\$"));
    boolean steps =
        List.of(path.split("/", -1)).stream().anyMatch(it -> it.equals("..") || it.isEmpty());
    if (!path.startsWith("net/") || steps || path.indexOf('\0') >= 0) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "sysctl "
              + Json.quote(key)
              + " is not a parameter of the network: its key must begin with"
              + " \"net.\"");
    }
    return path;
  }

  private static void changeLink(
      AttachmentRequest request, TuningConfig config, NetNsSession sandbox, Rollback rollback)
      throws CniException, IOException {
    Link link = AttachmentCheck.requireInterface(request, sandbox);
    ObjectNode before = currentSettings(link, config);
    SavedLinkSettings backup = savedSettings(request.config());
    backup.save(request.config().network(), request.attachment().id(), before);
    rollback.add(() -> backup.delete(request.attachment().id()));
    rollback.add(
        () -> {
          LinkUpdate back = restoringUpdate(link, new ConfigObject(before, ""));
          sandbox.rtnetlink().execute(back.request());
        });
    sandbox.rtnetlink().execute(configuredUpdate(link, config).request());
  }

  /** What the interface is like now, of that which will be changed, as the reference keeps it. */
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
    var change = new LinkUpdate(link.index());
    config.mac().ifPresent(mac -> change.mac(Mac.parse(mac)));
    if (config.mtu() != 0) {
      change.mtu(config.mtu());
    }
    if (config.promiscuous()) {
      change.promiscuous(true);
    }
    config.allMulticast().ifPresent(change::allMulticast);
    config.txQueueLength().ifPresent(change::txQueueLength);
    return change;
  }

  /** The change back to what was kept. */
  private static LinkUpdate restoringUpdate(Link link, ConfigObject kept) throws CniException {
    var change = new LinkUpdate(link.index());
    kept.parsed("mac", Mac::parse).ifPresent(change::mac);
    int mtu = kept.integer("mtu", 0, Integer.MAX_VALUE).orElse(0);
    if (mtu != 0) {
      change.mtu(mtu);
    }
    if (kept.has("promisc")) {
      change.promiscuous(kept.bool("promisc"));
    }
    if (kept.has("allmulti")) {
      change.allMulticast(kept.bool("allmulti"));
    }
    kept.integer("txQLen", 0, Integer.MAX_VALUE).ifPresent(change::txQueueLength);
    return change;
  }

  private static boolean isAllMulticast(Link link) {
    return (link.flags() & LinkConstants.IFF_ALLMULTI) != 0;
  }

  /** The previous result with what has changed of the interface. */
  private static Result updateResult(
      AttachmentRequest request, TuningConfig config, Result previous) {
    Predicate<Result.Interface> own = PreviousResult.isContainerInterface(request, previous);
    return previous.withInterfaces(
        previous.interfaces().stream()
            .map(it -> own.test(it) ? tunedInterface(it, config) : it)
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
    TuningConfig config = TuningConfig.parse(request.config(), request.attachment().args());
    PreviousResult.require(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession sandbox = NetNsSession.openContainer(request, host)) {
      Link link = AttachmentCheck.requireInterface(request, sandbox);
      for (Map.Entry<String, String> entry : config.sysctl().entrySet()) {
        requireSysctl(sandbox, sysctlKey(entry.getKey(), request), entry.getValue());
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

  private static void requireSysctl(NetNsSession sandbox, String key, String wanted)
      throws CniException, IOException {
    var actual = new StringBuilder();
    sandbox.runSysctl((Sysctl sysctl) -> actual.append(sysctl.get(key)));
    // The kernel separates several numbers by tabs, people by blanks.
    if (!words(actual.toString()).equals(words(wanted))) {
      throw AttachmentCheck.mismatch(
          "sysctl %s is %s, expected %s"
              .formatted(key, Json.quote(actual.toString()), Json.quote(wanted)));
    }
  }

  private static List<String> words(String text) {
    return List.of(text.strip().split("\\s+", -1));
  }

  private static void require(Link link, String property, Object wanted, Object actual)
      throws CniException {
    if (!wanted.equals(actual)) {
      throw AttachmentCheck.mismatch(
          "%s of interface %s is %s, expected %s".formatted(property, link.name(), actual, wanted));
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>Kernel parameters stay as they are: they go with the namespace, as for the reference plugin.
   * What cannot be restored is no failure either: the interface is about to be deleted.
   */
  @Override
  public void delete(AttachmentRequest request) throws CniException {
    SavedLinkSettings backup = savedSettings(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      Optional<ConfigObject> kept = backup.load(request.attachment().id());
      if (kept.isPresent()) {
        Optional<NetNsSession> there = NetNsSession.openContainerIfPresent(request, host);
        if (there.isPresent()) {
          try (NetNsSession sandbox = there.get()) {
            restore(request, sandbox, kept.get());
          }
        }
      }
      backup.delete(request.attachment().id());
    } catch (CniException e) {
      if (!e.is(ErrorCode.IO_FAILURE)) {
        throw e;
      }
      warn(request, e);
    } catch (IOException e) {
      warn(request, e);
    }
  }

  /** One by one, so that one that cannot be restored does not keep the others from it. */
  private static void restore(AttachmentRequest request, NetNsSession sandbox, ConfigObject kept)
      throws IOException {
    Optional<Link> link = sandbox.rtnetlink().link(request.attachment().interfaceName());
    for (String property : link.isPresent() ? kept.keys() : List.<String>of()) {
      ObjectNode single = Json.object();
      single.set(property, kept.json().get(property));
      try {
        LinkUpdate change = restoringUpdate(link.orElseThrow(), new ConfigObject(single, "kept"));
        if (!change.isEmpty()) {
          sandbox.rtnetlink().execute(change.request());
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
            "interface "
                + request.attachment().interfaceName()
                + " does not get back what it had before: "
                + e.getMessage());
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    savedSettings(request.config()).deleteStale(request.config().network(), request.valid());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    try {
      allowList.requireAllowed(TuningConfig.parse(request.config(), Map.of()).sysctl().keySet());
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
