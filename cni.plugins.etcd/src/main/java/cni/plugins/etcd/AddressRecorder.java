// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.InetAddresses;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.PluginHost.ActiveAttachment;
import cni.api.internal.LazyLogger;
import cni.plugins.etcd.HandleAllocator.Purpose;
import java.net.InetAddress;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Records the addresses of this node's attachments that etcd does not know: after a restore from a
 * backup, and after a release of this node while it was running. An address that another attachment
 * has got meanwhile is reported; both use it.
 */
final class AddressRecorder {
  private static final LazyLogger LOG = new LazyLogger("cni.plugins.etcd");

  private final Pool pool;
  private final EtcdConfig config;
  private final PluginHost host;
  private final Deadline deadline;

  AddressRecorder(Pool pool, EtcdConfig config, PluginHost host, Deadline deadline) {
    this.pool = pool;
    this.config = config;
    this.host = host;
    this.deadline = deadline;
  }

  /**
   * Records the addresses.
   *
   * @throws CniException if the attachments cannot be listed, or as EtcdClient throws
   */
  void recordAll() throws CniException {
    EtcdStore store = pool.store();
    Set<AttachmentId> known = new HashSet<>();
    store
        .readHandles(store.keys().handles(store.network(), store.node()), deadline)
        .forEach(it -> known.add(it.attachment()));
    for (ActiveAttachment it : host.attachments()) {
      if (it.network().equals(store.network()) && !known.contains(it.attachment().id())) {
        List<InetAddress> addresses =
            it.result().ips().stream()
                .map(ip -> ip.address().address())
                .filter(config.ranges()::contains)
                .toList();
        if (!addresses.isEmpty()) {
          record(it.attachment(), addresses);
        }
      }
    }
  }

  private void record(Attachment attachment, List<InetAddress> addresses) throws CniException {
    AttachmentId id = attachment.id();
    deadline.check("all addresses were recorded");
    String names = String.join(", ", addresses.stream().map(InetAddresses::format).toList());
    var request =
        new HandleAllocator.Request(id, addresses, Purpose.RECORD, config.nameOf(attachment));
    try {
      pool.exclusively(
          deadline,
          () ->
              new HandleAllocator(pool.store(), pool.view(), config, request, deadline).allocate());
      LOG.get()
          .log(
              System.Logger.Level.WARNING,
              "{0} of container {1} was not recorded in etcd, and is again",
              names,
              id.containerId());
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.ERROR,
              "{0} of container {1} cannot be recorded in etcd: {2}",
              names,
              id.containerId(),
              e.getMessage());
      host.publish(
          PluginEvent.now(
              PluginEvent.Kind.ADDRESS_CONFLICT,
              StoreConfig.TYPE,
              pool.store().network(),
              Optional.of(id),
              names + " cannot be recorded in etcd: " + e.getMessage()));
    }
  }
}
