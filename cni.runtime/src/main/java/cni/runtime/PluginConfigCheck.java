// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.ConfigRecorder;
import cni.api.InetAddresses;
import cni.api.Json;
import cni.api.NetworkConfig;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.SpecVersion;
import cni.api.internal.Suggestions;
import cni.runtime.PluginRegistry.AvailablePlugin;
import cni.runtime.PluginRegistry.ResolvedPlugin;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The validation of one plugin's configuration, by the plugin itself if it is a module. */
final class PluginConfigCheck {
  private static final String IPAM = ".ipam";
  private static final String TYPE = ".type";

  private final NetworkConfig network;
  private final PluginConfig plugin;
  private final String path;
  private final CniState cni;
  private final CallContext context;
  private final ConfigRecorder networkRecorder;
  private final ConfigFindings findings;

  /**
   * Prepares the check.
   *
   * @param plugin with a view of {@code networkRecorder}
   */
  PluginConfigCheck(
      NetworkConfig network,
      PluginConfig plugin,
      CniState cni,
      CallContext context,
      ConfigRecorder networkRecorder,
      ConfigFindings findings) {
    this.network = network;
    this.plugin = plugin;
    this.path = plugin.view().path();
    this.cni = cni;
    this.context = context;
    this.networkRecorder = networkRecorder;
    this.findings = findings;
  }

  void run() {
    Optional<ResolvedPlugin> resolved = resolve(plugin.type(), path + TYPE);
    resolved.ifPresent(this::checkVersions);
    List<PluginConfig> derived = new ArrayList<>(1);
    findings.collect(
        path,
        networkRecorder,
        () -> derived.add(plugin.forRequest(network.name(), network.version(), Map.of())));
    if (!derived.isEmpty()) {
      ObjectNode request = derived.getFirst().json();
      JsonNode capabilities = plugin.json().path("capabilities");
      if (capabilities.isObject()) {
        request.set("capabilities", capabilities); // they show which arguments an ADD may have
      }
      check(resolved, request);
    }
  }

  private void check(Optional<ResolvedPlugin> resolved, ObjectNode request) {
    if (!request.has("runtimeConfig")) {
      request.putObject("runtimeConfig"); // reads of it show which capabilities the plugin has
    }
    var recorder = new ConfigRecorder();
    boolean ipamIsMissing = isIpamMissing(request);
    if (ipamIsMissing) {
      recorder.hide(path + IPAM);
    }
    if (resolved.isPresent() && resolved.get().isInProcess()) {
      check(resolved.get(), recorder, request, ipamIsMissing);
    }
  }

  private Optional<ResolvedPlugin> resolve(String type, String key) {
    try {
      return Optional.of(cni.plugins().resolve(type));
    } catch (CniException e) {
      findings.error(key, Json.quote(type), "names no plugin that exists: " + remedy(type, e));
      return Optional.empty();
    }
  }

  private String remedy(String type, CniException unknown) {
    try {
      List<String> types = cni.plugins().list().stream().map(AvailablePlugin::type).toList();
      Optional<String> suggestion = Suggestions.didYouMean(type, types, Json::quote);
      if (suggestion.isPresent()) {
        return suggestion.get();
      }
    } catch (CniException _) {
      // the plugin path cannot be read: no suggestion
    }
    String message = unknown.getMessage();
    int detail = message.indexOf(" is not known: ");
    return detail < 0 ? message : message.substring(detail + " is not known: ".length());
  }

  private void checkVersions(ResolvedPlugin resolved) {
    Set<SpecVersion> supported;
    try {
      supported = resolved.plugin().versions();
    } catch (CniException e) {
      findings.error(
          path + TYPE,
          Json.quote(plugin.type()),
          "is a plugin that does not report its versions: " + e.getMessage());
      return;
    }
    if (network.versions().stream().noneMatch(supported::contains)) {
      findings.error(
          network.json().has("cniVersion") ? "cniVersion" : "cniVersions",
          Json.quote(SpecVersion.join(network.versions())),
          "is not supported by plugin %s: it supports %s"
              .formatted(plugin.type(), SpecVersion.join(supported.stream().sorted().toList())));
    }
  }

  /** Returns whether the ipam plugin does not exist, and reports it. */
  private boolean isIpamMissing(ObjectNode request) {
    try {
      Optional<String> type = PluginConfig.of(new ConfigObject(request, path)).ipamType();
      if (type.isEmpty() && !request.path("ipam").isEmpty()) {
        findings.warning(
            path + IPAM + TYPE,
            "",
            "is missing, so that the section is not used: name the plugin, as \"host-local\"");
      }
      return type.isPresent() && resolve(type.get(), path + IPAM + TYPE).isEmpty();
    } catch (CniException _) {
      return false; // the plugin reports it
    }
  }

  private void check(
      ResolvedPlugin resolved, ConfigRecorder recorder, ObjectNode request, boolean ipamIsMissing) {
    boolean complete =
        findings.collect(
            path,
            recorder,
            () ->
                resolved
                    .plugin()
                    .validate(
                        new NetworkRequest(
                            PluginConfig.of(recorder.view(request, path)), context)));
    findings.addWarnings(recorder);
    checkNameservers(request.path("dns"), path + ".dns");
    checkNameservers(request.path("ipam").path("dns"), path + IPAM + ".dns");
    if (!recorder.reads(path).stream().allMatch("type"::equals)) { // it takes part
      boolean judged = complete && !ipamIsMissing && !ipamTakesNoPart(recorder);
      new UnknownKeys(recorder, path, judged, findings).report(request);
      checkCapabilities(recorder, judged);
    }
  }

  /** Warns of name servers that no resolver can use. Their type is for the plugin to check. */
  private void checkNameservers(JsonNode dns, String dnsPath) {
    int index = 0;
    for (JsonNode server : dns.path("nameservers")) {
      String key = dnsPath + ".nameservers[" + index++ + "]";
      try {
        InetAddresses.parse(server.asString("::"));
      } catch (IllegalArgumentException e) {
        findings.warning(key, Json.excerpt(server), e.getMessage() + ": give its address");
      }
    }
  }

  /** Whether the ipam plugin is one that may read any key, of its section and of all others. */
  private boolean ipamTakesNoPart(ConfigRecorder recorder) {
    return recorder.reads(path + IPAM).equals(Set.of("type"));
  }

  private void checkCapabilities(ConfigRecorder recorder, boolean judged) {
    List<String> known = List.copyOf(recorder.reads(path + ".runtimeConfig"));
    List<String> declared;
    try {
      declared = plugin.capabilities();
    } catch (CniException _) {
      return; // reported by forRequest
    }
    for (String name : declared) {
      if (known.stream().anyMatch(name::equals)) {
        continue;
      }
      Optional<String> suggestion = Suggestions.didYouMean(name, known);
      if (suggestion.isPresent() || judged) {
        findings.warning(
            path + ".capabilities." + name,
            "true",
            "is not a capability of plugin "
                + plugin.type()
                + ": "
                + suggestion.orElse(
                    known.isEmpty() ? "it has none" : "it has " + String.join(", ", known)));
      }
    }
  }
}
