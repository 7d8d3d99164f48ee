package cni.plugins.ipam;

import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.CollectRequest;
import cni.api.Deadline;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.api.NetworkPlugin;
import cni.api.NetworkRequest;
import cni.api.PluginRequest;
import cni.api.Result;
import java.math.BigInteger;
import java.net.InetAddress;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Gives out addresses of ranges and keeps account of them on this host. The accounts are those of
 * the reference plugin, which may work on them at the same time.
 */
public final class HostLocalPlugin implements NetworkPlugin {
  private final FileSystem files;
  private final DirectoryLock lock;

  /** The plugin as the runtime makes it. */
  public HostLocalPlugin() {
    this(FileSystems.getDefault(), DirectoryLock.FLOCK);
  }

  /** The plugin on another file system, which needs another kind of lock. */
  HostLocalPlugin(FileSystem files, DirectoryLock lock) {
    this.files = files;
    this.lock = lock;
  }

  @Override
  public String type() {
    return "host-local";
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    List<InetAddress> requested =
        HostLocalConfig.requested(request.config(), request.attachment().args());
    Dns dns =
        config.resolvConf().isPresent()
            ? ResolvConf.read(files.getPath(config.resolvConf().get()))
            : Dns.NONE;
    requireInSomeSet(requested, config);
    try (Reservations reservations = open(config, request)) {
      var allocation = new Allocation(reservations, request.attachment().id(), requested);
      return new Result(List.of(), allocation.allocate(config.sets()), config.routes(), dns);
    }
  }

  private static void requireInSomeSet(List<InetAddress> requested, HostLocalConfig config)
      throws CniException {
    for (InetAddress address : requested) {
      if (config.sets().stream().noneMatch(set -> set.contains(address))) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "the requested address "
                + Ip.format(address)
                + " is in none of the network's ranges: "
                + config.sets().stream().map(RangeSet::toString).collect(Collectors.joining(", ")));
      }
    }
  }

  @Override
  public void check(AttachmentRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    AttachmentId id = request.attachment().id();
    Optional<Reservations> open = openIfPresent(config, request);
    if (open.isPresent()) {
      try (Reservations reservations = open.get()) {
        if (reservations.all().values().stream().anyMatch(holder -> holder.is(id))) {
          return;
        }
      }
    }
    throw new CniException(
        ErrorCode.INTERNAL,
        "no address is reserved for container %s, interface %s in %s"
            .formatted(id.containerId(), id.interfaceName(), directory(config)));
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    AttachmentId id = request.attachment().id();
    Optional<Reservations> open = openIfPresent(HostLocalConfig.parse(request.config()), request);
    if (open.isPresent()) {
      try (Reservations reservations = open.get()) {
        release(reservations, holder -> holder.is(id));
      }
    }
  }

  @Override
  public void collect(CollectRequest request) throws CniException {
    Set<String> containers = new HashSet<>();
    request.valid().forEach(id -> containers.add(id.containerId()));
    Optional<Reservations> open = openIfPresent(HostLocalConfig.parse(request.config()), request);
    if (open.isPresent()) {
      try (Reservations reservations = open.get()) {
        release(
            reservations,
            holder ->
                holder.interfaceName().isPresent()
                    ? !request
                        .valid()
                        .contains(
                            new AttachmentId(holder.containerId(), holder.interfaceName().get()))
                    : !containers.contains(holder.containerId()));
      }
    }
  }

  /** Releases all that the condition holds for, going on after a failure. */
  private static void release(Reservations reservations, Condition condition) throws CniException {
    CniException failure = null;
    for (Map.Entry<InetAddress, Reservations.Holder> entry : reservations.all().entrySet()) {
      if (condition.holds(entry.getValue())) {
        try {
          reservations.release(entry.getKey());
        } catch (CniException e) {
          if (failure == null) {
            failure = e;
          } else {
            failure.addSuppressed(e);
          }
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  private interface Condition {
    boolean holds(Reservations.Holder holder);
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    HostLocalConfig config = HostLocalConfig.parse(request.config());
    requireWritable(directory(config));
    Optional<Reservations> open = openIfPresent(config, request);
    Set<InetAddress> taken = new HashSet<>();
    if (open.isPresent()) {
      try (Reservations reservations = open.get()) {
        taken.addAll(reservations.all().keySet());
      }
    }
    for (RangeSet set : config.sets()) {
      long used = taken.stream().filter(set::contains).count();
      if (set.size().compareTo(BigInteger.valueOf(used)) <= 0) {
        throw new CniException(
            ErrorCode.NOT_AVAILABLE,
            "every address of " + set + " is reserved (see " + directory(config) + ")");
      }
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

  private Path directory(HostLocalConfig config) {
    return files.getPath(config.dataDir()).resolve(config.network());
  }

  private Reservations open(HostLocalConfig config, PluginRequest request) throws CniException {
    return Reservations.open(directory(config), lock, deadline(request));
  }

  private Optional<Reservations> openIfPresent(HostLocalConfig config, PluginRequest request)
      throws CniException {
    return Reservations.openIfPresent(directory(config), lock, deadline(request));
  }

  private static Deadline deadline(PluginRequest request) {
    return request.context().deadline();
  }
}
