// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import cni.api.CniException;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.runtime.Network;
import cni.runtime.PluginRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Examines the plugins that networks name. */
final class PluginExaminations {
  static final List<Examination> ALL =
      List.of(
          new Examination(FindingKind.PLUGIN_NOT_EXECUTABLE, PluginExaminations::notExecutable),
          new Examination(
              FindingKind.PLUGIN_WRONG_ARCHITECTURE, PluginExaminations::wrongArchitecture),
          new Examination(
              FindingKind.PLUGIN_INTERPRETER_MISSING, PluginExaminations::missingInterpreter),
          new Examination(FindingKind.PLUGIN_UNKNOWN, PluginExaminations::unknown),
          new Examination(FindingKind.PLUGIN_VERSION, PluginExaminations::version),
          new Examination(FindingKind.PLUGIN_DISABLED, PluginExaminations::disabled));

  private PluginExaminations() {}

  /** Returns the types that networks name, each with the networks that do. */
  private static Map<String, Set<String>> types(HostView host) throws IOException, CniException {
    Map<String, Set<String>> types = new LinkedHashMap<>();
    for (Network network : host.networks()) {
      for (String type : types(network)) {
        types.computeIfAbsent(type, _ -> new LinkedHashSet<>()).add(network.name());
      }
    }
    return types;
  }

  private static Set<String> types(Network network) throws CniException {
    Set<String> types = new LinkedHashSet<>();
    for (PluginConfig plugin : network.config().plugins()) {
      types.add(plugin.type());
      plugin.ipamType().ifPresent(types::add);
    }
    return types;
  }

  private static boolean isAvailable(HostView host, String type) {
    try {
      host.cni().plugins().find(type);
      return true;
    } catch (CniException e) {
      return false;
    }
  }

  /** Returns the file of a type on the plugin path, executable or not; absent if there is none. */
  private static Optional<Path> file(HostView host, String type) {
    return host.locations().executables().stream()
        .map(it -> it.resolve(type))
        .filter(Files::isRegularFile)
        .findFirst();
  }

  private static void notExecutable(HostView host, Findings findings)
      throws IOException, CniException {
    for (var it : types(host).entrySet()) {
      Optional<Path> file = file(host, it.getKey());
      if (file.isPresent() && !isAvailable(host, it.getKey()) && !Files.isExecutable(file.get())) {
        findings.ofNetworks(
            List.copyOf(it.getValue()),
            "plugin " + it.getKey() + " is not executable: ADD fails",
            file.get() + " has no permission to execute",
            "chmod +x " + file.get());
      }
    }
  }

  /** Examines the executable that serves a type. */
  private interface FileExamination {
    Optional<String> objection(ExecutableFile file);
  }

  private static void examineExecutables(
      HostView host,
      Findings findings,
      FileExamination examination,
      String consequence,
      String remedy)
      throws IOException, CniException {
    for (var it : types(host).entrySet()) {
      Path file = host.executables().get(it.getKey());
      if (file != null) {
        Optional<String> objection = examination.objection(ExecutableFile.read(file));
        if (objection.isPresent()) {
          findings.ofNetworks(
              List.copyOf(it.getValue()),
              "plugin " + it.getKey() + " " + consequence + ": ADD fails",
              file + ": " + objection.get(),
              remedy);
        }
      }
    }
  }

  private static void wrongArchitecture(HostView host, Findings findings)
      throws IOException, CniException {
    examineExecutables(
        host,
        findings,
        ExecutableFile::foreignArchitecture,
        "is built for another processor",
        "install the plugin for " + ExecutableFile.ownArchitecture());
  }

  private static void missingInterpreter(HostView host, Findings findings)
      throws IOException, CniException {
    examineExecutables(
        host,
        findings,
        ExecutableFile::missingInterpreter,
        "cannot be started",
        "install the interpreter, or correct the first line of the script");
  }

  private static void unknown(HostView host, Findings findings) throws IOException, CniException {
    Set<String> disabled = new LinkedHashSet<>();
    host.cni().plugins().disabled().forEach(it -> disabled.add(it.name()));
    for (var it : types(host).entrySet()) {
      if (!isAvailable(host, it.getKey())
          && file(host, it.getKey()).isEmpty()
          && !disabled.contains(it.getKey())) {
        findings.ofNetworks(
            List.copyOf(it.getValue()),
            "there is no plugin " + it.getKey() + ": ADD fails",
            "neither a module nor an executable in " + searched(host),
            "install it there, or correct the type; \"cni plugins\" lists those that exist");
      }
    }
  }

  private static String searched(HostView host) {
    List<Path> all = new ArrayList<>(host.locations().modules());
    all.addAll(host.locations().executables());
    return String.join(":", all.stream().map(Path::toString).toList());
  }

  private static void version(HostView host, Findings findings) throws IOException, CniException {
    for (Network network : host.networks()) {
      List<SpecVersion> offered = network.config().versions();
      for (String type : types(network)) {
        if (isAvailable(host, type) && !isBroken(host, type)) {
          versionObjection(host, type, offered)
              .ifPresent(
                  objection ->
                      findings.ofNetwork(
                          network.name(),
                          "plugin " + type + " does not support the network's version: ADD fails",
                          objection,
                          "install a newer plugin, or set a cniVersion that \"cni version %s\" lists"
                              .formatted(type)));
        }
      }
    }
  }

  private static Optional<String> versionObjection(
      HostView host, String type, List<SpecVersion> offered) {
    try {
      List<SpecVersion> supported = host.cni().plugins().versions(type);
      return offered.stream().anyMatch(supported::contains)
          ? Optional.empty()
          : Optional.of(
              "%s supports %s, the network offers %s".formatted(type, supported, offered));
    } catch (CniException e) {
      return Optional.of(e.getMessage());
    }
  }

  /** Returns whether another examination says why the plugin cannot report its versions. */
  private static boolean isBroken(HostView host, String type) throws IOException, CniException {
    Path file = host.executables().get(type);
    if (file == null) {
      return false;
    }
    ExecutableFile executable = ExecutableFile.read(file);
    return executable.foreignArchitecture().or(executable::missingInterpreter).isPresent();
  }

  private static void disabled(HostView host, Findings findings) throws IOException, CniException {
    Map<String, Set<String>> types = types(host);
    for (PluginRegistry.DisabledPlugin plugin : host.cni().plugins().disabled()) {
      Set<String> networks = types.get(plugin.name());
      if (networks != null) {
        findings.ofNetworks(
            List.copyOf(networks),
            "plugin " + plugin.name() + " is disabled: ADD fails",
            plugin.location() + ": " + plugin.reason(),
            "remove the cause, or reinstall the plugin");
      }
    }
  }
}
