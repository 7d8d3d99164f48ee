// SPDX-License-Identifier: Apache-2.0
package cni.conformance;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.api.SpecVersion;
import cni.api.Verb;
import cni.conformance.CheckHost.Container;
import cni.conformance.PluginUnderTest.Response;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The checks before an examination: which versions a plugin supports, and whether ADD works. */
final class Preflight {
  /** The codes for requests that a plugin refuses, whatever the state of the host. */
  private static final Set<Integer> CONFIG_ERRORS =
      Set.of(
          ErrorCode.UNSUPPORTED_FIELD.value(),
          ErrorCode.INVALID_PARAMETER.value(),
          ErrorCode.DECODING_FAILURE.value(),
          ErrorCode.INVALID_CONFIG.value());

  private Preflight() {}

  /**
   * Returns the versions that a plugin lists and this library supports, oldest first. If it lists
   * none, this is the newest version: the failure is reported by the requirement for VERSION.
   *
   * @throws CniException code 5 if namespaces cannot be created
   */
  static List<SpecVersion> supportedVersions(
      PluginUnderTest subject, SubjectConfig config, List<Path> pluginPath) throws CniException {
    try (var checkHost = new CheckHost(subject, config, SpecVersion.CURRENT, pluginPath)) {
      Response response = checkHost.call(checkHost.request(Verb.VERSION));
      List<SpecVersion> versions = new ArrayList<>();
      for (JsonNode it :
          CheckContext.parseObject(response.stdout())
              .map(it -> it.path("supportedVersions"))
              .stream()
              .flatMap(list -> list.valueStream())
              .toList()) {
        SpecVersion.ALL.stream()
            .filter(version -> version.toString().equals(it.asString("")))
            .forEach(versions::add);
      }
      if (versions.isEmpty()) {
        return List.of(SpecVersion.CURRENT);
      }
      versions.sort(null);
      return versions;
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
  }

  /**
   * Attaches a container once: without a working ADD nothing else can be checked.
   *
   * @throws CniException the plugin's error if ADD fails, with a hint at the configuration if the
   *     plugin refuses that; code 7, with the plugin's output, if it does not report an error
   */
  static void requireWorkingAdd(
      PluginUnderTest subject, SubjectConfig config, SpecVersion version, List<Path> pluginPath)
      throws CniException {
    try (var checkHost = new CheckHost(subject, config, version, pluginPath)) {
      Container container = checkHost.createContainer();
      Response response = checkHost.call(checkHost.request(Verb.ADD, container, Optional.empty()));
      Optional<ObjectNode> result =
          response.succeeded() ? CheckContext.parseObject(response.stdout()) : Optional.empty();
      checkHost.cleanUp(container, result);
      if (result.isEmpty()) {
        throw failedAdd(response, config);
      }
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
  }

  private static CniException failedAdd(Response response, SubjectConfig config) {
    Optional<ObjectNode> error =
        response.succeeded() ? Optional.empty() : CheckContext.parseObject(response.stdout());
    if (error.isEmpty() || !error.get().path("code").isIntegralNumber()) {
      return new CniException(
          ErrorCode.INVALID_CONFIG,
          "ADD of the plugin " + response.describe() + "; its configuration: " + config.config());
    }
    int code = error.get().path("code").intValue();
    String message =
        "ADD of the plugin failed: %s (code %d)%s"
            .formatted(error.get().path("msg").asString(""), code, hint(code, config));
    return new CniException(code, message, error.get().path("details").asString(""), null);
  }

  /** Returns a hint at the configuration if an error says that the plugin refuses it. */
  private static String hint(int code, SubjectConfig config) {
    return CONFIG_ERRORS.contains(code)
        ? "; give a configuration that works (--config) instead of " + config.config()
        : "";
  }
}
