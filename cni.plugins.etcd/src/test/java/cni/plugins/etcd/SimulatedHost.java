// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;

/** A resident host with attachments that the test sets, which collects events. */
final class SimulatedHost implements PluginHost {
  final List<PluginEvent> events = new CopyOnWriteArrayList<>();
  private final List<ActiveAttachment> attachments = new CopyOnWriteArrayList<>();
  private final Path directory;

  SimulatedHost(Path directory) {
    this.directory = directory;
  }

  /** Adds an attachment with addresses to those that exist on the host. */
  void attach(String container, List<String> addresses) {
    attach(TestNode.NETWORK, container, addresses);
  }

  /** Adds an attachment to another network. */
  void attach(String network, String container, List<String> addresses) {
    List<Result.IpConfig> ips =
        addresses.stream()
            .map(
                it ->
                    new Result.IpConfig(
                        Cidr.ofHost(InetAddresses.parse(it)),
                        Optional.empty(),
                        OptionalInt.empty()))
            .toList();
    attachments.add(
        new ActiveAttachment(
            network,
            new Attachment(TestNode.id(container), Optional.empty(), Map.of(), Map.of()),
            new Result(List.of(), ips, List.of(), Dns.NONE)));
  }

  @Override
  public Path stateDirectory() {
    return directory;
  }

  @Override
  public Optional<Path> hostNamespace() {
    return Optional.empty();
  }

  @Override
  public void publish(PluginEvent event) {
    events.add(event);
  }

  @Override
  public List<ActiveAttachment> attachments() {
    return List.copyOf(attachments);
  }
}
