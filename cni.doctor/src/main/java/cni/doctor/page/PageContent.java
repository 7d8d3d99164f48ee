// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import cni.doctor.traffic.TrafficSample;
import java.util.List;
import java.util.Optional;

/**
 * What a page shows.
 *
 * @param hostName the host's name
 * @param version the version of the program that makes the page
 * @param sample the attachments and the pools, with the time of the state
 * @param networks the networks, in the order of the page; attachments to others follow
 * @param policies the policies that are in force or in files
 */
public record PageContent(
    String hostName,
    String version,
    TrafficSample sample,
    List<NetworkSummary> networks,
    List<PolicySummary> policies) {
  /** Copies the lists. */
  public PageContent {
    networks = List.copyOf(networks);
    policies = List.copyOf(policies);
  }

  /**
   * A network as it is configured.
   *
   * @param name its name
   * @param chain the types of its plugins, in the order of ADD
   * @param bridge the name of its bridge; absent if the first plugin is another one
   */
  public record NetworkSummary(String name, List<String> chain, Optional<String> bridge) {
    /** Copies the list. */
    public NetworkSummary {
      chain = List.copyOf(chain);
    }
  }

  /**
   * A policy.
   *
   * @param name its name
   * @param selects the number of attachments that it selects
   * @param restricts what it restricts, such as "ingress, egress"
   * @param state whether it is in force, in words
   */
  public record PolicySummary(String name, long selects, String restricts, String state) {}
}
