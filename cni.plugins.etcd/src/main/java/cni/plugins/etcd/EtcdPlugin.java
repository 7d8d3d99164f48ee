// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.AddressReport;
import cni.api.AttachmentRequest;
import cni.api.ClusterAddressRegistry;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginHost;
import cni.api.PluginRole;
import cni.api.ResidentPlugin;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.plugins.ipam.AssignedResult;
import cni.plugins.ipam.range.RequestedAddresses;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The {@code etcd} plugin: allocates addresses for the nodes of a cluster, and keeps them in etcd
 * (3.4 or newer). It is configured as host-local is, with {@code endpoints} in place of {@code
 * dataDir}.
 */
public final class EtcdPlugin implements ResidentPlugin, UpdatablePlugin, ClusterAddressRegistry {
  private final StoreSessions sessions;

  /** Creates the plugin, for {@link java.util.ServiceLoader}. */
  public EtcdPlugin() {
    this(NodeLease.DEFAULT_TTL);
  }

  /**
   * Creates the plugin.
   *
   * @param leaseTtl the time after which a node whose resident host does not answer is lost
   */
  EtcdPlugin(Duration leaseTtl) {
    sessions = new StoreSessions(leaseTtl);
  }

  @Override
  public String type() {
    return StoreConfig.TYPE;
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.IPAM);
  }

  @Override
  public void start(PluginHost host) {
    sessions.start(host);
  }

  @Override
  public void stop() {
    sessions.stop();
  }

  /**
   * {@inheritDoc}
   *
   * <p>If the attachment has addresses already, they are returned: a repeated ADD has the same
   * result.
   */
  @Override
  public Result add(AttachmentRequest request) throws CniException {
    EtcdConfig config = EtcdConfig.parse(request.config());
    List<InetAddress> requested =
        RequestedAddresses.of(request.config(), request.attachment().args().toMap());
    config.ranges().requireContained(requested);
    Dns dns = config.dns().read();
    var wanted =
        AllocationRequest.add(
            request.attachment().id(), requested, config.nameOf(request.attachment()));
    Deadline deadline = request.context().deadline();
    try (StoreSession session = sessions.open(request.config(), config)) {
      var allocator =
          new HandleAllocator(session, config, wanted, deadline)
              .onExhausted(
                  it ->
                      sessions.publishExhausted(
                          config.store().network(), request.attachment().id(), it));
      Handle handle = allocator.allocate();
      return new Result(List.of(), config.ipConfigs(handle.addressList()), config.routes(), dns);
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    Deadline deadline = request.context().deadline();
    try (StoreSession session = sessions.open(StoreConfig.parse(request.config()))) {
      session.runExclusively(
          deadline,
          () ->
              new HandleRelease(session.store(), session.view(), deadline)
                  .release(request.attachment().id()));
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    StoreConfig config = StoreConfig.parse(request.config());
    SharedFiles.deleteLeftovers(config.directory());
    Deadline deadline = request.context().deadline();
    try (StoreSession session = sessions.open(config)) {
      var collector =
          new HandleCollector(session.store(), session.view(), config.gcGrace(), deadline);
      session.runExclusively(deadline, () -> collector.collect(request.valid()));
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    EtcdConfig.validate(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    EtcdConfig config = EtcdConfig.parse(request.config());
    Deadline deadline = request.context().deadline();
    try (StoreSession session = sessions.open(config.store())) {
      new AvailabilityCheck(session.store(), config, deadline).run();
    } catch (CniException e) {
      throw e.is(ErrorCode.TRY_AGAIN_LATER) || e.is(ErrorCode.IO_FAILURE)
          ? new CniException(ErrorCode.NOT_AVAILABLE, e.getMessage(), e)
          : e;
    }
  }

  /**
   * {@inheritDoc}
   *
   * <p>The ranges can change as long as they contain the attachment's addresses.
   */
  @Override
  public Set<String> changeableKeys() {
    return Set.of(
        "ipam.routes",
        "ipam.dns",
        "ipam.resolvConf",
        "ipam.ranges",
        "ipam.subnet",
        "ipam.rangeStart",
        "ipam.rangeEnd",
        "ipam.gateway",
        "ipam.exclude",
        "ipam.endpoints",
        "ipam.tls",
        "ipam.user",
        "ipam.password",
        "ipam.passwordFile",
        "ipam.timeout",
        "ipam.gcGrace",
        "ipam.releaseAfter",
        "runtimeConfig.ipRanges");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    EtcdConfig desired = EtcdConfig.parse(request.desired().config());
    EtcdConfig current =
        request.isUnchanged()
            ? desired
            : EtcdConfig.parseEarlier(request.current().config(), request.desired().config());
    Dns dns = request.isUnchanged() ? Dns.NONE : desired.dns().read();
    List<Result.IpConfig> ips =
        new HandleComparison(
                sessions,
                request.desired(),
                desired,
                desired.nameOf(request.desired().attachment()),
                differences)
            .compare(current);
    return new AssignedResult(
            current.ranges()::contains, current.routes(), current.dns().isPresent())
        .replacedBy(new Result(List.of(), ips, desired.routes(), dns), request);
  }

  /** Calls CHECK, for which this plugin, like host-local, needs no {@code prevResult}. */
  @Override
  public void check(AttachmentRequest request) throws CniException {
    try (var differences = new Differences()) {
      compare(UpdateRequest.unchanged(request), differences);
      differences.requireNone(type());
    }
  }

  @Override
  public AddressReport report(NetworkRequest request) throws CniException {
    EtcdConfig config = EtcdConfig.parse(request.config());
    try (StoreSession session = sessions.open(config.store())) {
      return new StoreReport(session.store(), config, request.context().deadline()).read();
    }
  }

  @Override
  public int importReservations(NetworkRequest request, Path directory) throws CniException {
    EtcdConfig config = EtcdConfig.parse(request.config());
    Deadline deadline = request.context().deadline();
    try (StoreSession session = sessions.open(config.store())) {
      return session.exclusively(
          deadline, () -> new HostLocalImport(session, config, deadline).run(directory));
    }
  }

  @Override
  public int releaseNode(NetworkRequest request, String node, boolean force) throws CniException {
    try (StoreSession session = sessions.open(StoreConfig.parse(request.config()))) {
      return new NodeRelease(session.store(), request.context().deadline()).release(node, force);
    }
  }

  @Override
  public boolean resume(NetworkRequest request, boolean force) throws CniException {
    try (StoreSession session = sessions.open(StoreConfig.parse(request.config()))) {
      return new StoreResumption(session.store(), request.context().deadline()).resume(force);
    }
  }
}
