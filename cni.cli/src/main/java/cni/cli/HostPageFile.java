// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.PluginConfig;
import cni.api.internal.BridgeName;
import cni.api.internal.IoErrors;
import cni.doctor.page.HostPage;
import cni.doctor.page.PageContent;
import cni.doctor.page.PageContent.NetworkSummary;
import cni.doctor.page.PageContent.PolicySummary;
import cni.doctor.traffic.TrafficSampler;
import cni.plugins.support.NetNsSession;
import cni.policy.HostPolicies;
import cni.policy.PolicyDirectories;
import cni.policy.PolicyState;
import cni.runtime.Cni;
import cni.runtime.Network;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The page of {@code cni show --html}. */
final class HostPageFile {
  private static final Path HOST_NAME = Path.of("/proc/sys/kernel/hostname");
  private static final Duration POLICY_TIMEOUT = Duration.ofSeconds(10);

  private HostPageFile() {}

  /**
   * Writes the page.
   *
   * @param hostNamespace the namespace of the host's side; that of this process if absent
   * @param only the only network to show; absent for all
   * @throws CniException code 5 if the file cannot be written or the cache cannot be read, code 7
   *     if there is no such network
   */
  static void write(Path file, Cni cni, Optional<Path> hostNamespace, Optional<String> only)
      throws CniException {
    List<NetworkConfig> configs = new ArrayList<>();
    if (only.isPresent()) {
      configs.add(cni.network(only.get()).config());
    } else {
      addAll(cni, configs);
    }
    var sampler =
        new TrafficSampler(cni, hostNamespace, name -> only.isEmpty() || name.equals(only.get()));
    var content =
        new PageContent(
            hostName(),
            Image.version(),
            sampler.sample(),
            configs.stream().map(HostPageFile::summary).toList(),
            policies(configs, hostNamespace));
    try {
      Files.write(file, HostPage.write(content).getBytes(UTF_8));
    } catch (IOException e) {
      throw new CniException(
          ErrorCode.IO_FAILURE, "the page cannot be written: " + IoErrors.describe(e), e);
    }
  }

  private static void addAll(Cni cni, List<NetworkConfig> configs) {
    try {
      cni.networks().stream().map(Network::config).forEach(configs::add);
    } catch (CniException e) {
      System.err.println("cni: without configured networks: " + e.getMessage());
    }
  }

  private static String hostName() {
    try {
      return Files.readString(HOST_NAME).strip();
    } catch (IOException e) {
      return "this host"; // proc(5) is not mounted
    }
  }

  private static NetworkSummary summary(NetworkConfig config) {
    List<String> chain = new ArrayList<>();
    for (PluginConfig plugin : config.plugins()) {
      chain.add(plugin.type());
    }
    return new NetworkSummary(config.name(), chain, bridge(config));
  }

  private static Optional<String> bridge(NetworkConfig config) {
    PluginConfig first = config.plugins().getFirst();
    try {
      return first.type().equals("bridge")
          ? Optional.of(BridgeName.of(first.view()))
          : Optional.empty();
    } catch (CniException e) {
      return Optional.empty(); // "cni validate" explains it
    }
  }

  /** Returns the policies of the directories that the networks name; none if they name none. */
  private static List<PolicySummary> policies(
      List<NetworkConfig> configs, Optional<Path> hostNamespace) {
    Set<PolicyDirectories> directories = new LinkedHashSet<>();
    for (NetworkConfig config : configs) {
      for (PluginConfig plugin : config.plugins()) {
        if (plugin.type().equals("policy")) {
          directories.add(directories(plugin.view()));
        }
      }
    }
    List<PolicySummary> summaries = new ArrayList<>();
    for (PolicyDirectories it : directories) {
      Deadline deadline = Deadline.after(POLICY_TIMEOUT);
      try (NetNsSession host = HostPolicies.openHost(hostNamespace, deadline)) {
        addPolicies(new HostPolicies(it, host, deadline), summaries);
      } catch (CniException e) {
        System.err.println("cni: without the policies of " + it.data() + ": " + e.getMessage());
      }
    }
    return summaries;
  }

  private static PolicyDirectories directories(ConfigObject plugin) {
    PolicyDirectories defaults = PolicyDirectories.DEFAULT;
    return new PolicyDirectories(
        path(plugin, "policyDir", defaults.policies()), path(plugin, "dataDir", defaults.data()));
  }

  private static Path path(ConfigObject plugin, String key, Path otherwise) {
    try {
      return plugin.nonEmpty(key).map(Path::of).orElse(otherwise);
    } catch (CniException e) {
      return otherwise; // "cni validate" explains it
    }
  }

  private static void addPolicies(HostPolicies policies, List<PolicySummary> summaries)
      throws CniException {
    PolicyState state = policies.state();
    for (KnownPolicy it : KnownPolicy.all(state, policies.readDirectory()).values()) {
      summaries.add(
          new PolicySummary(
              it.name(),
              PolicyListCommand.selected(it.policy(), state),
              String.join(", ", PolicyListCommand.restricts(it.policy())),
              it.describeState()));
    }
  }
}
