// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.PluginDaemon;
import cni.api.internal.DaemonArguments;
import cni.policy.PolicyDirectories;
import cni.policy.PolicyWatch;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CountDownLatch;

/**
 * The daemon that puts policies in force when their files change, for plugins that are executables:
 * {@code cni policy daemon}.
 */
public final class PolicyDaemon implements PluginDaemon {
  private static final String POLICIES = "policies";
  private static final String DATA = "data";
  private static final String HOST_NAMESPACE = "host-netns";
  private static final Set<String> OPTIONS = Set.of(POLICIES, DATA, HOST_NAMESPACE);

  private static final String USAGE =
      """
      Usage: policy daemon [OPTION VALUE]...
      Puts policies in force when the files in their directory change.

        --policies DIR      the directory of policies (default /etc/cni/policy.d)
        --data DIR          the directory of the state (default /run/cni/policy)
        --host-netns PATH   the network namespace of the host side (default that of
                            this process)
      """;

  /** Creates the daemon, for {@link java.util.ServiceLoader}. */
  public PolicyDaemon() {}

  @Override
  public String type() {
    return "policy";
  }

  @Override
  public String usage() {
    return USAGE;
  }

  @Override
  public void requireValid(List<String> arguments) throws CniException {
    Options.parse(arguments);
  }

  @Override
  public void run(List<String> arguments) throws CniException {
    Options options = Options.parse(arguments);
    try (var _ = PolicyWatch.start(options.directories(), options.hostNamespace())) {
      new CountDownLatch(1).await(); // until the thread is interrupted
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The options of the command line. */
  private record Options(PolicyDirectories directories, Optional<Path> hostNamespace) {
    static Options parse(List<String> arguments) throws CniException {
      Map<String, String> values =
          DaemonArguments.parse("policy", arguments, OPTIONS, Set.of(), USAGE);
      return new Options(
          new PolicyDirectories(
              path(values, POLICIES).orElse(PolicyDirectories.DEFAULT.policies()),
              path(values, DATA).orElse(PolicyDirectories.DEFAULT.data())),
          path(values, HOST_NAMESPACE));
    }

    private static Optional<Path> path(Map<String, String> values, String name)
        throws CniException {
      String text = values.get(name);
      return text == null ? Optional.empty() : Optional.of(absolute(name, text));
    }

    private static Path absolute(String name, String text) throws CniException {
      Path path = Path.of(text);
      if (!path.isAbsolute()) {
        throw new CniException(
            ErrorCode.INVALID_PARAMETER,
            "policy daemon: --" + name + " " + text + " is not an absolute path");
      }
      return path;
    }
  }
}
