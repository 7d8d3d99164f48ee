// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.Names;
import cni.doctor.HostLocations;
import cni.exec.StderrHandler;
import cni.runtime.Cni;
import cni.runtime.CniBuilder;
import cni.runtime.Network;
import cni.runtime.PluginSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Options for the locations on the host: configurations, plugins, cache, namespace. Their defaults
 * come from cnitool's environment variables.
 */
final class HostOptions {
  private final OptionSpec networks =
      Subcommand.pathOption("--networks")
          .initialValue(
              EnvironmentVariables.get("NETCONFPATH")
                  .map(Invocation::resolve)
                  .orElse(Cni.DEFAULT_NETWORKS))
          .paramLabel("DIR")
          .description(
              "Directory of network configurations; default: NETCONFPATH, or /etc/cni/net.d.")
          .build();

  private final OptionSpec path =
      OptionSpec.builder("--path")
          .type(String.class)
          .initialValue(
              EnvironmentVariables.get("CNI_PATH").orElseGet(Cni.DEFAULT_EXECUTABLES::toString))
          .paramLabel("DIRS")
          .description("Plugin path, separated by colons; default: CNI_PATH, or /opt/cni/bin.")
          .build();

  private final OptionSpec modules =
      OptionSpec.builder("--modules")
          .type(String.class)
          .initialValue(PluginLocations.modulePath())
          .paramLabel("DIRS")
          .description(
              "Directories of plugin modules, one subdirectory per plugin, separated by colons; default:"
                  + " CNI_MODULE_PATH, or /opt/cni/modules.")
          .build();

  private final OptionSpec nativeAccess =
      Subcommand.listOption("--native-access")
          .initialValue(PluginLocations.nativeAccess())
          .splitRegex(",")
          .paramLabel("NAME")
          .description(
              "Allow the plugin in this subdirectory of --modules to call native code; default:"
                  + " CNI_NATIVE_ACCESS.")
          .build();

  private final OptionSpec allowUntrusted =
      Subcommand.flag(
          "--allow-untrusted-plugins",
          "Load plugins even if users other than root and the caller may replace them.");

  private final OptionSpec searchOrder =
      Subcommand.listOption("--order")
          .auxiliaryTypes(PluginSource.class)
          .converters(PluginLocations::parseSource)
          .splitRegex(",")
          .completionCandidates(PluginLocations.SOURCES)
          .paramLabel("SOURCE")
          .description(
              "Order in which sources are searched for a plugin; default: CNI_PLUGIN_ORDER, or"
                  + " built-in,directory,executable. Sources left out are not searched.")
          .build();

  private final OptionSpec cache =
      Subcommand.pathOption("--cache")
          .defaultValue(Cni.DEFAULT_CACHE.toString())
          .paramLabel("DIR")
          .description("Directory of cached results; default: ${DEFAULT-VALUE}.")
          .build();

  private final OptionSpec hostNamespace = hostNamespaceOption();

  private final OptionSpec forcedExecutables =
      Subcommand.listOption("--executable")
          .paramLabel("TYPE")
          .description("Use only the executable of this plugin type, no module; may be repeated.")
          .build();

  private final OptionSpec timeout = timeoutOption();

  /** What host-local advises if no address is free. */
  private static final String RUN_GC = "run GC";

  private static final String INIT_HINT = "; write one by \"cni init ";

  /** Creates the option for the host's network namespace. */
  static OptionSpec hostNamespaceOption() {
    return OptionSpec.builder("--host-netns")
        .type(String.class)
        .paramLabel("PATH")
        .description("Network namespace of the host side; default: that of this process.")
        .build();
  }

  /** Creates the option for the time that an operation may take. */
  static OptionSpec timeoutOption() {
    return Subcommand.timeOption("--timeout")
        .defaultValue("2m")
        .description("Deadline of an operation, such as 30s or 2m; default: ${DEFAULT-VALUE}.")
        .build();
  }

  /** Adds the options to a command. */
  HostOptions(CommandSpec command) {
    List.of(
            networks,
            path,
            modules,
            nativeAccess,
            allowUntrusted,
            searchOrder,
            cache,
            hostNamespace,
            forcedExecutables,
            timeout)
        .forEach(command::addOption);
  }

  /** Opens the networks and plugins described by the options, for a single operation. */
  Cni open() throws CniException {
    return Invocation.open(builder());
  }

  /** As {@link #open}, for a command that stays while its attachments exist. */
  Cni openResident() throws CniException {
    return builder().build();
  }

  /**
   * Returns the network with a name.
   *
   * @throws CniException as {@link Cni#network(String)}; if no file defines the network, the
   *     message also says how to write one
   */
  Network network(Cni cni, String name) throws CniException {
    try {
      return cni.network(name);
    } catch (CniException e) {
      throw withHint(e, name);
    }
  }

  /**
   * Returns all networks.
   *
   * @throws CniException as {@link Cni#networks}; if there is no file of a network, the message
   *     also says how to write one
   */
  List<Network> networks(Cni cni) throws CniException {
    List<Network> all;
    try {
      all = cni.networks();
    } catch (CniException e) {
      throw withHint(e, "");
    }
    if (all.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "there are no networks in " + networks() + INIT_HINT + "mynet\"");
    }
    return all;
  }

  /**
   * Requires that networks exist, so that a misspelt name does not look like a network without
   * attachments. A network that only the cache knows exists as well: its file may have been
   * removed.
   *
   * @throws CniException as {@link #network} for the first that is neither configured nor attached
   *     to
   */
  void requireKnown(Cni cni, Iterable<String> names) throws CniException {
    for (String name : names) {
      if (cni.attachments().stream().noneMatch(it -> it.network().equals(name))) {
        network(cni, name);
      }
    }
  }

  /** Says how to write a configuration if none is there. */
  private CniException withHint(CniException error, String name) {
    try {
      ConfiguredNetworks configured = ConfiguredNetworks.read(networks());
      boolean isMissing = name.isEmpty() ? configured.isEmpty() : configured.file(name).isEmpty();
      if (!isMissing || !error.is(ErrorCode.INVALID_CONFIG)) {
        return error;
      }
    } catch (IOException e) {
      return error; // names the reason
    }
    String network = Names.isIdentifier(name) ? name : "mynet";
    return new CniException(
        error.code(), error.getMessage() + INIT_HINT + network + "\"", error.details(), error);
  }

  /**
   * Returns the error of an operation on a network with what this command knows about it: the file
   * of an invalid configuration, and the command for what a plugin calls GC.
   */
  CniException explained(CniException error, String name) {
    String message = String.valueOf(error.getMessage());
    return message.contains(RUN_GC)
        ? ErrorReporter.withMessage(error, message.replace(RUN_GC, "run \"cni gc " + name + "\""))
        : withFile(error, name);
  }

  private CniException withFile(CniException error, String name) {
    if (!error.is(ErrorCode.INVALID_CONFIG)) {
      return error;
    }
    try {
      return ConfiguredNetworks.read(networks())
          .file(name)
          .filter(file -> !String.valueOf(error.getMessage()).contains(file.toString()))
          .map(file -> error.withContext(file.toString()))
          .orElse(error);
    } catch (IOException e) {
      return error;
    }
  }

  /** Returns the directory of network configurations. */
  Path networks() {
    return networks.getValue();
  }

  /** Returns the path of the host's namespace; absent for that of this process. */
  Optional<Path> hostNamespace() {
    return hostNamespace(hostNamespace);
  }

  /** Returns the directories of {@code --path}. */
  List<Path> executables() {
    return PluginLocations.directories(path.getValue());
  }

  /** Returns the places that the options name, for examining them. */
  HostLocations locations() {
    return new HostLocations(
        networks.getValue(),
        executables(),
        PluginLocations.directories(modules.getValue()),
        cache.getValue(),
        hostNamespace(hostNamespace));
  }

  private CniBuilder builder() throws CniException {
    List<String> nativePlugins = nativeAccess.getValue();
    List<String> executableTypes = forcedExecutables.getValue();
    CniBuilder builder =
        Cni.builder()
            .networks(networks.getValue())
            .executables(executables())
            .pluginDirectories(PluginLocations.directories(modules.getValue()).toArray(Path[]::new))
            .nativeAccess(nativePlugins.stream().distinct().toArray(String[]::new))
            .searchOrder(PluginLocations.order(searchOrder.getValue()))
            .cache(cache.getValue())
            .timeout(timeout.getValue())
            .forceExecutables(executableTypes.toArray(String[]::new))
            .stderrHandler(StderrHandler.to(Invocation.standardError()));
    if (EnvironmentVariables.get("CNI_NETNS_OVERRIDE")
        .filter(it -> it.matches("(?i)1|true"))
        .isPresent()) {
      builder.allowHostNamespace();
    }
    boolean untrustedPlugins = allowUntrusted.getValue();
    if (untrustedPlugins) {
      builder.allowUntrustedPlugins();
    } else {
      Image.requireTrustedPlugins();
    }
    hostNamespace(hostNamespace).ifPresent(builder::hostNamespace);
    return builder;
  }

  /** Returns the path of the namespace; absent for that of this process. */
  static Optional<Path> hostNamespace(OptionSpec option) {
    @Nullable String given = option.getValue();
    return given == null
        ? Invocation.current().flatMap(Invocation::namespace)
        : Optional.of(NamespacePaths.resolve(given));
  }
}
