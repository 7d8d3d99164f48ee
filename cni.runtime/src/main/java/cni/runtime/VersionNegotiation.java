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
 * Which version of the specification a network is spoken to in (SPEC section 1, "Version
 * considerations"): the newest that the configuration offers, this library knows and every plugin
 * of the chain supports. Executables are asked, which means running them, only where there is a
 * choice; otherwise they find out for themselves.
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
   * The version.
   *
   * @throws CniException code 1 if there is none, naming both sides; code 7 if a plugin of the
   *     chain does not exist
   */
  SpecVersion negotiate() throws CniException {
    return negotiate(plugins.chain(config));
  }

  /**
   * The version, where the plugins of the chain have been resolved already.
   *
   * @throws CniException code 1 if there is none, naming both sides
   */
  SpecVersion negotiate(List<PluginRegistry.ResolvedPlugin> chain) throws CniException {
    CniException why = null;
    for (SpecVersion version : config.versions()) {
      Optional<CniException> refusal = refusal(chain, version);
      if (refusal.isEmpty()) {
        return version;
      }
      why = why == null ? refusal.get() : why; // what keeps the newest from being spoken
    }
    throw Objects.requireNonNull(why); // a configuration offers at least one version
  }

  /** The version, or the newest that is offered where the plugins cannot agree or be found: DEL. */
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
    boolean choice = config.versions().size() > 1;
    for (PluginRegistry.ResolvedPlugin resolved : chain) {
      if (resolved.inProcess() || choice) {
        Set<SpecVersion> supported = supported(resolved);
        if (!supported.contains(version)) {
          return Optional.of(unsupported(resolved.plugin().type(), supported));
        }
      }
    }
    return Optional.empty();
  }

  /** An executable that cannot tell its versions is no limit; it may refuse when it is called. */
  private static Set<SpecVersion> supported(PluginRegistry.ResolvedPlugin resolved) {
    try {
      return resolved.plugin().versions();
    } catch (CniException e) {
      LOG.get()
          .log(
              System.Logger.Level.INFO,
              resolved.plugin().type() + " tells no versions: " + e.getMessage());
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
