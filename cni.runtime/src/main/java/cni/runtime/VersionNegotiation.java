// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.util.stream.Collectors.joining;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.NetworkConfig;
import cni.api.SpecVersion;
import cni.api.internal.LazyLogger;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Chooses the version of the specification for the calls of a network's plugins (SPEC section 1,
 * "Version considerations"): the newest that the configuration offers and that this library and
 * every plugin of the chain support.
 *
 * <p>An executable has to be run to report its versions. That is only done if the configuration
 * offers several; otherwise the executable checks the version itself when it is called.
 */
final class VersionNegotiation {
  private static final LazyLogger LOG = new LazyLogger("cni.runtime");

  private final NetworkConfig config;
  private final PluginRegistry plugins;

  VersionNegotiation(NetworkConfig config, PluginRegistry plugins) {
    this.config = config;
    this.plugins = plugins;
  }

  /**
   * Chooses the version.
   *
   * @throws CniException code 1 if there is none that all support, naming both sides; code 7 if a
   *     plugin of the chain does not exist
   */
  SpecVersion negotiate() throws CniException {
    return negotiate(plugins.resolveChain(config));
  }

  /**
   * Chooses the version for a chain that has been resolved already.
   *
   * @throws CniException code 1 if there is none that all support, naming both sides
   */
  SpecVersion negotiate(List<PluginRegistry.ResolvedPlugin> chain) throws CniException {
    CniException newestRefusal = null;
    for (SpecVersion version : config.versions()) {
      Optional<CniException> refusal = refusal(chain, version);
      if (refusal.isEmpty()) {
        return version;
      }
      newestRefusal = newestRefusal == null ? refusal.get() : newestRefusal;
    }
    throw Objects.requireNonNull(newestRefusal); // a configuration offers at least one version
  }

  /**
   * Chooses the version for DEL and GC, which go on if the plugins cannot be found or do not agree:
   * then it is the newest that the configuration offers.
   */
  SpecVersion negotiateOrNewest() {
    if (config.versions().size() == 1) {
      return config.version();
    }
    try {
      return negotiate();
    } catch (CniException e) {
      return config.version();
    }
  }

  private Optional<CniException> refusal(
      List<PluginRegistry.ResolvedPlugin> chain, SpecVersion version) {
    boolean hasChoice = config.versions().size() > 1;
    for (PluginRegistry.ResolvedPlugin resolved : chain) {
      if (resolved.isInProcess() || hasChoice) {
        Set<SpecVersion> supported = supportedVersions(resolved);
        if (!supported.contains(version)) {
          return Optional.of(unsupported(resolved.plugin().type(), supported));
        }
      }
    }
    return Optional.empty();
  }

  /**
   * Returns the versions that a plugin reports; all of them for an executable that cannot report
   * its own, which may still refuse the call.
   */
  private static Set<SpecVersion> supportedVersions(PluginRegistry.ResolvedPlugin resolved) {
    try {
      return resolved.plugin().versions();
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.INFO,
              resolved.plugin().type() + " does not report its versions: " + e.getMessage());
      return Set.copyOf(SpecVersion.ALL);
    }
  }

  private CniException unsupported(String type, Set<SpecVersion> supported) {
    return new CniException(
        ErrorCode.INCOMPATIBLE_VERSION,
        "network %s is configured for version %s; plugin %s supports %s"
            .formatted(
                config.name(),
                config.versions().stream().map(SpecVersion::toString).collect(joining(" or ")),
                type,
                supported.stream().sorted().toList()));
  }
}
