// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.hostlocal;

import cni.api.AddressRegistry;
import cni.api.AddressReport;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.PluginRequest;
import cni.api.PluginRole;
import cni.api.ResidentPlugin;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.LazyLogger;
import cni.plugins.ipam.AssignedResult;
import cni.plugins.ipam.ResolvConf;
import cni.plugins.ipam.range.RangeSet;
import cni.plugins.ipam.range.RequestedAddresses;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The {@code host-local} plugin: allocates addresses from ranges and stores the reservations on
 * this host, in the format of the reference plugin, which may use the same directory concurrently.
 */
public final class HostLocalPlugin implements AddressRegistry, ResidentPlugin, UpdatablePlugin {
  /** Enough for as many containers as are usually created and deleted at the same time. */
  private static final int MAX_RECYCLED_FILES = 64;

  private static final LazyLogger LOG = new LazyLogger("cni.plugins.ipam");

  private final FileSystem fileSystem;
  private final DirectoryLock lock;

  /** Present in a resident process; for a single call a cache costs more than it saves. */
  private volatile Optional<ReservationCachePool> cachePool = Optional.empty();

  private volatile Optional<PluginHost> host = Optional.empty();

  /** Creates the plugin on the default file system, for {@link java.util.ServiceLoader}. */
  public HostLocalPlugin() {
    this(FileSystems.getDefault(), DirectoryLock.FLOCK);
  }

  /** Creates the plugin on another file system, where flock(2) does not work. */
  HostLocalPlugin(FileSystem fileSystem, DirectoryLock lock) {
    this.fileSystem = fileSystem;
    this.lock = lock;
  }

  @Override
  public String type() {
    return "host-local";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.IPAM);
  }

  @Override
  public void start(PluginHost newHost) {
    host = Optional.of(newHost);
    // A host that serves the callers of executables leaves the files that an executable leaves.
    int recycledFiles = newHost.runsDaemons() ? 0 : MAX_RECYCLED_FILES;
    cachePool = Optional.of(new ReservationCachePool(recycledFiles));
  }

  @Override
  public void stop() {
    cachePool.ifPresent(ReservationCachePool::close);
    cachePool = Optional.empty();
    host = Optional.empty();
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    List<InetAddress> requested =
        RequestedAddresses.of(request.config(), request.attachment().args().toMap());
    Dns dns = readDns(config);
    config.ranges().requireContained(requested);
    try (ReservationStore reservations =
        directory(request.config()).open(request.context().deadline())) {
      String network = request.config().network();
      AttachmentId id = request.attachment().id();
      var allocator =
          new AddressAllocator(
              reservations,
              id,
              requested,
              Reclamation.of(request),
              reason -> publishExhausted(network, id, reason));
      return new Result(List.of(), allocator.allocate(config), config.routes(), dns);
    }
  }

  private Dns readDns(HostLocalConfig config) throws CniException {
    return config.resolvConf().isPresent()
        ? ResolvConf.read(path("ipam.resolvConf", config.resolvConf().get()))
        : Dns.NONE;
  }

  private void publishExhausted(String network, AttachmentId id, String reason) {
    host.ifPresent(
        it ->
            it.publish(
                PluginEvent.now(
                    PluginEvent.Kind.RESOURCE_EXHAUSTED,
                    "host-local",
                    network,
                    Optional.of(id),
                    reason)));
  }

  /**
   * {@inheritDoc}
   *
   * <p>{@code ipam.ranges} and its kin can change as long as the ranges contain the attachment's
   * addresses, or addresses are requested in place of those that they do not contain.
   */
  @Override
  public Set<String> changeableKeys() {
    return Set.of(
        "ipam.routes",
        "ipam.resolvConf",
        "ipam.ranges",
        "ipam.subnet",
        "ipam.rangeStart",
        "ipam.rangeEnd",
        "ipam.gateway",
        "args.cni.ips",
        "runtimeConfig.ips",
        "runtimeConfig.ipRanges");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    AttachmentRequest desired = request.desired();
    HostLocalConfig config = HostLocalConfig.parse(desired.config());
    Optional<HostLocalConfig> current =
        request.isUnchanged()
            ? Optional.empty()
            : Optional.of(HostLocalConfig.parse(request.current().config()));
    List<InetAddress> requested =
        RequestedAddresses.of(desired.config(), desired.attachment().args().toMap());
    config.ranges().requireContained(requested);
    // For CHECK and repair the file need not exist any more.
    Dns dns = current.isEmpty() ? Dns.NONE : readDns(config);
    var comparison =
        new ReservationComparison(
            desired, config, current, requested, directory(desired.config()), differences);
    HostLocalConfig before = current.orElse(config);
    return new AssignedResult(
            before.ranges()::contains, before.routes(), before.resolvConf().isPresent())
        .replacedBy(new Result(List.of(), comparison.compare(), config.routes(), dns), request);
  }

  /** Calls CHECK, for which this plugin, like the reference, needs no {@code prevResult}. */
  @Override
  public void check(AttachmentRequest request) throws CniException {
    try (var differences = new Differences()) {
      compare(UpdateRequest.unchanged(request), differences);
      differences.requireNone(type());
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    Optional<ReservationStore> open = openIfPresent(request);
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        release(reservations, reservedAddresses(request.attachment().id(), reservations));
      }
    }
  }

  /**
   * Returns the addresses of an attachment: of files that name container and interface, otherwise
   * of files that name the container only, as reference plugins before 0.7 wrote them.
   */
  private static List<InetAddress> reservedAddresses(
      AttachmentId id, ReservationStore reservations) {
    List<InetAddress> exact = reservations.heldBy(ReservationHolder.of(id));
    return exact.isEmpty()
        ? reservations.heldBy(ReservationHolder.ofContainer(id.containerId()))
        : exact;
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Set<String> containers = new HashSet<>();
    request.valid().forEach(id -> containers.add(id.containerId()));
    Optional<ReservationStore> open = openIfPresent(request);
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        ReservationFiles.Contents contents = reservations.read();
        List<InetAddress> stale = new ArrayList<>(contents.incomplete());
        contents
            .holders()
            .forEach(
                (address, holder) -> {
                  if (isStale(holder, request.valid(), containers)) {
                    stale.add(address);
                  }
                  if (!holder.hasValidContainerId()) {
                    LOG.get()
                        .log(
                            System.Logger.Level.WARNING,
                            InetAddresses.format(address)
                                + " is released: its file names no container, but "
                                + holder);
                  }
                });
        release(reservations, stale);
        ReservationFiles.deleteTemporaryFiles(contents.temporaryFiles());
      }
    }
  }

  /**
   * Whether the address is reserved for an attachment that is not valid any more. That includes
   * content that no plugin writes, such as after a power loss: no DEL would ever release it.
   */
  private static boolean isStale(
      ReservationHolder holder, Set<AttachmentId> valid, Set<String> validContainers) {
    return holder
        .interfaceName()
        .map(name -> !valid.contains(new AttachmentId(holder.containerId(), name)))
        .orElseGet(() -> !validContainers.contains(holder.containerId()));
  }

  /** Releases all addresses, then throws the first failure with the others suppressed. */
  private static void release(ReservationStore reservations, List<InetAddress> addresses)
      throws CniException {
    CniException failure = null;
    for (InetAddress address : addresses) {
      try {
        reservations.release(address);
      } catch (CniException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    HostLocalConfig.validate(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    Path directory = directory(request.config()).path();
    new ReservationFiles(directory).requireWritable();
    Optional<ReservationStore> open = openIfPresent(request);
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        requireFree(config, reservations, directory);
      }
    }
  }

  private static void requireFree(
      HostLocalConfig config, ReservationStore reservations, Path directory) throws CniException {
    Map<RangeSet, Long> used = new HashMap<>();
    for (InetAddress address : reservations.reserved()) {
      config.ranges().index().find(address).ifPresent(set -> used.merge(set, 1L, Long::sum));
    }
    for (RangeSet set : config.ranges().sets()) {
      if (set.size().compareTo(BigInteger.valueOf(used.getOrDefault(set, 0L))) <= 0
          && reservations.reservedBeforeBoot(set).isEmpty()) {
        throw new CniException(
            ErrorCode.NOT_AVAILABLE,
            "every address of " + set + " is reserved (see " + directory + ")");
      }
    }
  }

  @Override
  public AddressReport report(NetworkRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    return directory(request.config()).report(config.ranges(), request.context().deadline());
  }

  /**
   * Reads only the keys it needs, so DEL and GC work if the rest of the configuration is invalid.
   */
  private ReservationDirectory directory(PluginConfig config) throws CniException {
    Path path = path("ipam.dataDir", HostLocalConfig.dataDir(config)).resolve(config.network());
    return new ReservationDirectory(path, lock, cachePool);
  }

  private Path path(String key, String text) throws CniException {
    try {
      return fileSystem.getPath(text);
    } catch (InvalidPathException e) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG, key + " " + Json.quote(text) + " is not a path", e);
    }
  }

  private Optional<ReservationStore> openIfPresent(PluginRequest request) throws CniException {
    return directory(request.config()).openIfPresent(request.context().deadline());
  }
}
