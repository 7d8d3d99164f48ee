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
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The checks before an examination: which versions a plugin supports, and whether ADD works. */
final class Preflight {
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
   * Attaches a container once, so that an unusable configuration is reported as such.
   *
   * @throws CniException code 7, with the plugin's output, if ADD fails
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
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "ADD with this configuration "
                + response.describe()
                + "; give one that works (--config): "
                + config.config());
      }
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
  }
}
