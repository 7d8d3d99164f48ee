// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParameterException;

/** {@code cni ipam release-node}. */
final class IpamReleaseNodeCommand extends Subcommand {
  private final HostOptions host = new HostOptions(spec());
  private final PositionalParamSpec node =
      requiredParameter(0, "NODE").description("Name of the node.").build();
  private final PositionalParamSpec network =
      requiredParameter(1, "NETWORK")
          .arity("0..1")
          .required(false)
          .description(
              "A network of the cluster's store; default: the only one whose ipam plugin is one for"
                  + " a cluster.")
          .build();
  private final OptionSpec force =
      flag("--force", "Release them even if the node may be running: its containers lose them.");

  IpamReleaseNodeCommand() {
    super(
        "Release the addresses of a node that no longer exists.",
        "Releases the addresses of all attachments of the node, in all networks of the store; other nodes"
            + " can then assign them. A node that may be running is refused without --force:"
            + " containers on it would use addresses that others get. \"cni ipam show\" lists the"
            + " nodes and their state.");
    spec().addPositional(node).addPositional(network).addOption(force);
    spec()
        .usageMessage()
        .footerHeading("%nExamples:%n")
        .footer("  cni ipam release-node node-1", "  cni ipam release-node node-1 mynet --force");
  }

  @Override
  public Integer call() throws CniException {
    try (Cni cni = host.open()) {
      @Nullable String given = network.getValue();
      Network selected = given == null ? onlyOfCluster(cni) : host.network(cni, given);
      try {
        release(selected);
      } catch (CniException e) {
        throw host.explained(e, selected.name());
      }
    }
    return 0;
  }

  private void release(Network selected) throws CniException {
    String name = node.getValue();
    boolean forced = force.getValue();
    int released = selected.addresses().releaseNode(name, forced);
    Invocation.standardOutput()
        .println(
            "%s: addresses of %s released"
                .formatted(Terminal.printable(name), AddressTables.attachments(released)));
  }

  /** Returns the only network with an ipam plugin for a cluster. */
  private Network onlyOfCluster(Cni cni) throws CniException {
    List<Network> possible = new ArrayList<>();
    List<CniException> failures = new ArrayList<>();
    for (Network it : host.networks(cni)) {
      try {
        if (it.addresses().isCluster()) {
          possible.add(it);
        }
      } catch (CniException e) { // a plugin that does not exist
        failures.add(e.withContext("network " + it.name()));
      }
    }
    if (possible.size() == 1) {
      return possible.getFirst();
    }
    if (possible.isEmpty()) {
      throw failures.isEmpty()
          ? new CniException(
              ErrorCode.INVALID_CONFIG,
              "no network in "
                  + host.networks()
                  + " has an ipam plugin for a cluster, such as etcd: run this command on a host that"
                  + " has such a network, or give --networks")
          : failures.getFirst();
    }
    String name = node.getValue();
    String example = "cni ipam release-node " + name + " " + possible.getFirst().name();
    throw new ParameterException(
        spec().commandLine(),
        "name a network of the store that has the node, as in \"%s\": several have an ipam plugin for a cluster: %s"
            .formatted(
                example, possible.stream().map(Network::name).collect(Collectors.joining(", "))));
  }
}
