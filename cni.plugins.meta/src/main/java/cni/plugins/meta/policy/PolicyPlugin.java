// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Differences;
import cni.api.GcRequest;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.PluginHost;
import cni.api.PluginRole;
import cni.api.ResidentPlugin;
import cni.api.Result;
import cni.api.SpecVersion;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import cni.api.internal.LazyLogger;
import cni.netlink.ffm.route.Link;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import cni.policy.AttachmentLabels;
import cni.policy.Endpoint;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The policy plugin: restricts what the container may receive and send, by the policies of the host
 * that select its labels. It must follow a plugin that makes a veth, bridge or ptp. The reference
 * plugins have none like it.
 */
public final class PolicyPlugin implements ResidentPlugin, UpdatablePlugin {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.meta");

  private final ResidentWatches watches = new ResidentWatches();

  /** Creates the plugin; called by the ServiceLoader. */
  public PolicyPlugin() {}

  @Override
  public String type() {
    return "policy";
  }

  @Override
  public Optional<PluginRole> role() {
    return Optional.of(PluginRole.CHAINED);
  }

  /** {@inheritDoc} Policies are put in force from now on when their files change. */
  @Override
  public void start(PluginHost host) throws CniException {
    watches.start(host);
  }

  @Override
  public void stop() {
    watches.stop();
  }

  /** {@inheritDoc} Those whose results have interfaces, 0.3.0 and later. */
  @Override
  public Set<SpecVersion> versions() {
    return SpecVersion.since(SpecVersion.V0_3_0);
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    PolicyDirectories directories = PolicyConfig.directories(request.config());
    Result previous = PreviousResult.require(request);
    try (NetNsSession host = NetNsSession.openHost(request.context());
        NetNsSession container = NetNsSession.openContainer(request, host)) {
      Link link = AttachmentCheck.requireInterface(request, container);
      var _ =
          new HostPolicies(directories, host, request.context().deadline())
              .attach(AttachmentEndpoint.read(request, host, container, link));
      watches.add(directories);
      return previous;
    } catch (IOException e) {
      throw NetNsSession.failure(
          "bringing policies into force for " + request.attachment().interfaceName(), e);
    }
  }

  /** {@inheritDoc} Labels and named ports, wherever they come from. */
  @Override
  public Set<String> changeableKeys() {
    return Set.of("runtimeConfig.labels", "runtimeConfig.namedPorts", "args");
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    AttachmentRequest desired = request.desired();
    Result previous = PreviousResult.require(desired);
    PolicyDirectories directories = PolicyConfig.directories(desired.config());
    NetNsSession host = differences.keep(NetNsSession.openHost(desired.context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(desired, host));
    try {
      Optional<Link> link = AttachmentCheck.findInterface(desired, container, differences);
      if (link.isPresent()) {
        compare(
            new HostPolicies(directories, host, desired.context().deadline()),
            () -> AttachmentEndpoint.read(desired, host, container, link.get()),
            differences);
      }
      return previous;
    } catch (IOException e) {
      throw NetNsSession.failure("checking policies of " + desired.attachment().interfaceName(), e);
    }
  }

  /** Reads the attachment from the kernel. */
  private interface EndpointReader {
    Endpoint read() throws CniException, IOException;
  }

  private static void compare(HostPolicies policies, EndpointReader reader, Differences differences)
      throws CniException, IOException {
    Endpoint endpoint = reader.read();
    List<String> findings = policies.check(endpoint);
    if (findings.isEmpty()) {
      return;
    }
    Optional<Endpoint> before =
        Optional.ofNullable(policies.state().endpoints().get(endpoint.id()));
    boolean isDamaged = before.filter(endpoint::equals).isPresent();
    differences
        .of(Differences.Kind.RULE)
        .add(
            String.join("; ", findings),
            isDamaged
                ? "restore the rules of the policies"
                : "bring policies into force for labels " + endpoint.labels(),
            () -> bringIntoForce(policies, reader),
            isDamaged ? Differences.Action.NONE : () -> undo(policies, endpoint.id(), before));
  }

  /**
   * Attaches, or restores what is attached already. The attachment is read once more: the plugins
   * before may have put its interface back to a bridge.
   */
  private static void bringIntoForce(HostPolicies policies, EndpointReader reader)
      throws CniException {
    try {
      Endpoint endpoint = reader.read();
      if (endpoint.equals(policies.state().endpoints().get(endpoint.id()))) {
        policies.restore();
      } else {
        var _ = policies.attach(endpoint);
      }
    } catch (IOException e) {
      throw NetNsSession.failure("bringing policies into force", e);
    }
  }

  private static void undo(HostPolicies policies, Endpoint.Id id, Optional<Endpoint> before)
      throws CniException {
    if (before.isPresent()) {
      var _ = policies.attach(before.get());
    } else {
      policies.detach(id);
    }
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      hostPolicies(request.config(), host, request.context().deadline())
          .detach(AttachmentEndpoint.id(request));
    }
  }

  /** Returns the policies; with an invalid configuration, those of the default directories. */
  private static HostPolicies hostPolicies(
      PluginConfig config, NetNsSession host, Deadline deadline) {
    try {
      return new HostPolicies(PolicyConfig.directories(config), host, deadline);
    } catch (CniException e) {
      LOG.get().log(System.Logger.Level.DEBUG, "invalid configuration: ADD cannot have used it", e);
      return new HostPolicies(PolicyDirectories.DEFAULT, host, deadline);
    }
  }

  @Override
  public void gc(GcRequest request) throws CniException {
    String network = request.config().network();
    Set<Endpoint.Id> valid =
        request.valid().stream()
            .map(id -> AttachmentEndpoint.id(network, id))
            .collect(Collectors.toSet());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      hostPolicies(request.config(), host, request.context().deadline())
          .collect(id -> id.network().equals(network) && !valid.contains(id));
    }
  }

  @Override
  public void validate(NetworkRequest request) throws CniException {
    PolicyConfig.directories(request.config());
    AttachmentLabels.validate(request.config());
  }

  @Override
  public void status(NetworkRequest request) throws CniException {
    PolicyDirectories directories = PolicyConfig.directories(request.config());
    try (NetNsSession host = NetNsSession.openHost(request.context())) {
      new HostPolicies(directories, host, request.context().deadline()).requireReady();
    }
  }
}
