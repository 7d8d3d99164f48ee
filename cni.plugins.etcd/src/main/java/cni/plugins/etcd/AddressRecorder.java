// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.PluginHost.ActiveAttachment;
import cni.api.internal.LazyLogger;
import java.net.InetAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Records the addresses of this node's attachments that etcd does not know: after a restore from a
 * backup, and after a release of this node while it was running. An address that another attachment
 * has by now is reported; both use it.
 */
final class AddressRecorder {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private static final String IP_RANGES = "ipRanges";

  private final StoreSession session;
  private final PluginConfig source;
  private final PluginHost host;
  private final Set<AttachmentId> conflicts;
  private final Deadline deadline;

  /**
   * Creates a recorder.
   *
   * @param source the configuration of the network
   * @param conflicts the attachments whose conflicts have been reported, to which others are added
   */
  AddressRecorder(
      StoreSession session,
      PluginConfig source,
      PluginHost host,
      Set<AttachmentId> conflicts,
      Deadline deadline) {
    this.conflicts = conflicts;
    this.session = session;
    this.source = source;
    this.host = host;
    this.deadline = deadline;
  }

  /**
   * Records the addresses. Continues after an address that another attachment has.
   *
   * @return whether all are recorded
   * @throws CniException if the attachments cannot be listed, or as EtcdClient throws; what has not
   *     been recorded yet is recorded by the next call
   */
  boolean recordAll() throws CniException {
    EtcdStore store = session.store();
    Map<AttachmentId, Handle> known = new HashMap<>();
    store.readHandles(deadline).forEach(it -> known.put(it.attachment(), it));
    boolean isComplete = true;
    for (ActiveAttachment it : host.attachments()) {
      if (it.network().equals(store.network())) {
        EtcdConfig config = configOf(it.attachment());
        List<InetAddress> addresses =
            it.result().ips().stream()
                .map(ip -> ip.address().address())
                .filter(config.ranges()::contains)
                .toList();
        Optional<Handle> handle = Optional.ofNullable(known.get(it.attachment().id()));
        if (!handle.map(Handle::addressList).orElse(List.of()).containsAll(addresses)) {
          isComplete &= record(it.attachment(), addresses, handle, config);
        }
      }
    }
    return isComplete;
  }

  /** Returns the configuration with the ranges that the attachment was added with. */
  private EtcdConfig configOf(Attachment attachment) throws CniException {
    ObjectNode json = source.json().deepCopy();
    json.remove("runtimeConfig");
    JsonNode ranges = attachment.capabilityArgs().get(IP_RANGES);
    if (ranges != null) {
      json.set("runtimeConfig", Json.object().set(IP_RANGES, ranges));
    }
    return EtcdConfig.parse(PluginConfig.of(new ConfigObject(json, "")));
  }

  /**
   * Records the addresses of an attachment.
   *
   * @param former a handle with other addresses: the backup is of an earlier attachment with the id
   */
  private boolean record(
      Attachment attachment,
      List<InetAddress> addresses,
      Optional<Handle> former,
      EtcdConfig config)
      throws CniException {
    AttachmentId id = attachment.id();
    deadline.check("all addresses were recorded");
    String names = String.join(", ", addresses.stream().map(InetAddresses::format).toList());
    var request = AllocationRequest.record(id, addresses, config.nameOf(attachment));
    try {
      if (former.isPresent()) {
        release(former.get());
      }
      new HandleAllocator(session, config, request, deadline).allocate();
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "{0} of container {1} was not recorded in etcd, and is again",
              names,
              id.containerId());
      return true;
    } catch (CniException e) {
      if (!AddressHeldException.isCauseOf(e)) {
        throw e;
      }
      if (conflicts.add(id)) {
        reportConflict(id, names, e.getMessage());
      }
      return false;
    }
  }

  private void release(Handle handle) throws CniException {
    session.exclusively(
        deadline,
        () ->
            new HandleRelease(session.store(), session.view(), deadline)
                .releaseUnchanged(List.of(handle)));
  }

  private void reportConflict(AttachmentId id, String names, String reason) {
    LOG.get()
        .log(
            System.Logger.Level.ERROR,
            "{0} of container {1} cannot be recorded in etcd: {2}",
            names,
            id.containerId(),
            reason);
    host.publish(
        PluginEvent.now(
            PluginEvent.Kind.ADDRESS_CONFLICT,
            StoreConfig.TYPE,
            session.store().network(),
            Optional.of(id),
            names + " cannot be recorded in etcd: " + reason));
  }
}
