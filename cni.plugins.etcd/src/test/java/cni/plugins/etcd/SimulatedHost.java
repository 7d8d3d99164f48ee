// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import cni.api.Attachment;
import cni.api.Cidr;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.PluginConfig;
import cni.api.PluginEvent;
import cni.api.PluginHost;
import cni.api.Result;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CopyOnWriteArrayList;
import tools.jackson.databind.JsonNode;

/** A resident host with attachments that the test sets, which collects events. */
final class SimulatedHost implements PluginHost {
  final List<PluginEvent> events = new CopyOnWriteArrayList<>();
  private final List<ActiveAttachment> attachments = new CopyOnWriteArrayList<>();
  private final Path directory;
  private List<PluginConfig> plugins = List.of();

  SimulatedHost(Path directory) {
    this.directory = directory;
  }

  /** Adds an attachment with addresses to those that exist on the host. */
  void attach(String container, List<String> addresses) {
    attach(TestNode.NETWORK, container, addresses);
  }

  /** Adds an attachment to another network. */
  void attach(String network, String container, List<String> addresses) {
    attach(network, container, addresses, Map.of());
  }

  /** Sets the configurations that attachments which are added from now on were made with. */
  void setPlugins(PluginConfig... configs) {
    plugins = List.of(configs);
  }

  /** Adds an attachment that was made with capability arguments. */
  void attach(
      String network,
      String container,
      List<String> addresses,
      Map<String, JsonNode> capabilityArgs) {
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
            new Attachment(TestNode.id(container), Optional.empty(), Map.of(), capabilityArgs),
            new Result(List.of(), ips, List.of(), Dns.NONE),
            plugins));
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
