package cni.plugins.ipam.hostlocal;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
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
import cni.api.ResidentPlugin;
import cni.api.Result;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Gives out addresses of ranges and keeps account of them on this host. The accounts are those of
 * the reference plugin, which may work on them at the same time.
 */
public final class HostLocalPlugin implements ResidentPlugin {
  private final FileSystem fileSystem;
  private final DirectoryLock lock;

  /** Only in a process that stays: for one call it would cost more than it saves. */
  private volatile Optional<ReservationCachePool> cachePool = Optional.empty();

  private volatile Optional<PluginHost> host = Optional.empty();

  /** The plugin as the runtime makes it. */
  public HostLocalPlugin() {
    this(FileSystems.getDefault(), DirectoryLock.FLOCK);
  }

  /** The plugin on another file system, which needs another kind of lock. */
  HostLocalPlugin(FileSystem files, DirectoryLock lock) {
    this.fileSystem = files;
    this.lock = lock;
  }

  @Override
  public String type() {
    return "host-local";
  }

  @Override
  public void start(PluginHost newHost) {
    host = Optional.of(newHost);
    cachePool = Optional.of(new ReservationCachePool());
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
        HostLocalConfig.requestedAddresses(request.config(), request.attachment().args());
    Dns dns =
        config.resolvConf().isPresent()
            ? ResolvConf.read(path("ipam.resolvConf", config.resolvConf().get()))
            : Dns.NONE;
    requireInRanges(requested, config);
    try (ReservationStore reservations =
        ReservationStore.open(
            directory(request.config()), lock, cachePool, request.context().deadline())) {
      var allocation = new AddressAllocator(reservations, request.attachment().id(), requested);
      return new Result(List.of(), allocate(allocation, config, request), config.routes(), dns);
    }
  }

  /** Tells of a set of ranges that has nothing left, besides failing. */
  private List<Result.IpConfig> allocate(
      AddressAllocator allocation, HostLocalConfig config, AttachmentRequest request)
      throws CniException {
    try {
      return allocation.allocate(config.rangeSets());
    } catch (CniException e) {
      if (e.is(ErrorCode.TRY_AGAIN_LATER)) {
        PluginEvent event = exhaustedEvent(request, e.getMessage());
        host.ifPresent(it -> it.publish(event));
      }
      throw e;
    }
  }

  private static PluginEvent exhaustedEvent(AttachmentRequest request, String why)
      throws CniException {
    return PluginEvent.now(
        PluginEvent.Kind.RESOURCE_EXHAUSTED,
        "host-local",
        request.config().network(),
        Optional.of(request.attachment().id()),
        why);
  }

  private static void requireInRanges(List<InetAddress> requested, HostLocalConfig config)
      throws CniException {
    for (InetAddress address : requested) {
      if (config.rangeSets().stream().noneMatch(set -> set.contains(address))) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "the requested address "
                + InetAddresses.format(address)
                + " is in none of the network's ranges: "
                + config.rangeSets().stream()
                    .map(RangeSet::toString)
                    .collect(Collectors.joining(", ")));
      }
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    Optional<ReservationStore> open = openIfPresent(request);
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        if (!reservedAddresses(request.attachment().id(), reservations).isEmpty()) {
          return;
        }
      }
    }
    throw new CniException(
        ErrorCode.INTERNAL,
        "no address is reserved for container %s, interface %s in %s"
            .formatted(
                request.attachment().containerId(),
                request.attachment().interfaceName(),
                directory(request.config())));
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

  /** Files that name only the container count where none names the interface as well. */
  private static List<InetAddress> reservedAddresses(AttachmentId id, ReservationStore reservations)
      throws CniException {
    List<InetAddress> exact = reservations.heldBy(id);
    return exact.isEmpty() ? reservations.heldBy(id.containerId()) : exact;
  }

  private static List<InetAddress> addresses(
      Map<InetAddress, ReservationStore.Holder> held,
      Predicate<ReservationStore.Holder> condition) {
    return held.entrySet().stream()
        .filter(entry -> condition.test(entry.getValue()))
        .map(Map.Entry::getKey)
        .toList();
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    Set<String> containers = new HashSet<>();
    request.valid().forEach(id -> containers.add(id.containerId()));
    Optional<ReservationStore> open = openIfPresent(request);
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        ReservationStore.Contents contents = reservations.read();
        List<InetAddress> stale = new ArrayList<>(contents.incomplete());
        stale.addAll(
            addresses(contents.holders(), holder -> isStale(holder, request.valid(), containers)));
        release(reservations, stale);
        reservations.deleteTemporaryFiles(contents.temporaryFiles());
      }
    }
  }

  private static boolean isStale(
      ReservationStore.Holder holder, Set<AttachmentId> valid, Set<String> containers) {
    if (!holder.hasValidContainerId()) {
      return false;
    }
    return holder
        .interfaceName()
        .map(name -> !valid.contains(new AttachmentId(holder.containerId(), name)))
        .orElseGet(() -> !containers.contains(holder.containerId()));
  }

  /** Releases all of them, going on after a failure. */
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
  public void status(NetworkRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    requireWritable(directory(request.config()));
    Optional<ReservationStore> open = openIfPresent(request);
    if (open.isPresent()) {
      try (ReservationStore reservations = open.get()) {
        for (RangeSet set : config.rangeSets()) {
          requireFree(set, reservations.countReserved(set::contains), directory(request.config()));
        }
      }
    }
  }

  private static void requireFree(RangeSet set, long used, Path directory) throws CniException {
    if (set.size().compareTo(BigInteger.valueOf(used)) <= 0) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE,
          "every address of " + set + " is reserved (see " + directory + ")");
    }
  }

  private static void requireWritable(Path directory) throws CniException {
    Path there = directory;
    while (Files.notExists(there) && there.getParent() != null) {
      there = there.getParent();
    }
    if (!Files.isDirectory(there) || !Files.isWritable(there)) {
      throw new CniException(
          ErrorCode.NOT_AVAILABLE, there + " is not a directory that can be written to");
    }
  }

  /** What needs no more than this works even where the rest of the configuration is wrong. */
  private Path directory(PluginConfig config) throws CniException {
    return path("ipam.dataDir", HostLocalConfig.dataDir(config)).resolve(config.network());
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
    return ReservationStore.openIfPresent(
        directory(request.config()), lock, cachePool, request.context().deadline());
  }
}
