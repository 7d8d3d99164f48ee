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

/** What has to be known of a plugin before it can be examined. */
final class Preflight {
  private Preflight() {}

  /**
   * The versions that it says that it supports, of those that are known, oldest first.
   *
   * @throws CniException code 7 if it names none
   */
  static List<SpecVersion> supportedVersions(
      PluginUnderTest subject, SubjectConfig setting, List<Path> pluginPath) throws CniException {
    try (var stage = new CheckHost(subject, setting, SpecVersion.CURRENT, pluginPath)) {
      Response answer = stage.call(stage.request(Verb.VERSION));
      List<SpecVersion> versions = new ArrayList<>();
      for (JsonNode it :
          CheckContext.parseObject(answer.stdout()).map(it -> it.path("supportedVersions")).stream()
              .flatMap(list -> list.valueStream())
              .toList()) {
        SpecVersion.ALL.stream()
            .filter(version -> version.toString().equals(it.asString("")))
            .forEach(versions::add);
      }
      if (versions.isEmpty()) {
        // The check of VERSION tells; all others go by the first that had a result.
        return List.of(SpecVersion.CURRENT);
      }
      versions.sort(null);
      return versions;
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
  }

  /**
   * Has a container attached, so that what the checks find is not only that the setting is wrong.
   *
   * @throws CniException code 7 with the plugin's own words
   */
  static void requireWorkingAdd(
      PluginUnderTest subject, SubjectConfig setting, SpecVersion version, List<Path> pluginPath)
      throws CniException {
    try (var stage = new CheckHost(subject, setting, version, pluginPath)) {
      Container container = stage.createContainer();
      Response answer = stage.call(stage.request(Verb.ADD, container, Optional.empty()));
      Optional<ObjectNode> result =
          answer.succeeded() ? CheckContext.parseObject(answer.stdout()) : Optional.empty();
      stage.cleanUp(container, result);
      if (result.isEmpty()) {
        throw new CniException(
            ErrorCode.INVALID_CONFIG,
            "ADD with this configuration "
                + answer.describe()
                + "; give one that works (--config): "
                + setting.config());
      }
    } catch (IOException e) {
      throw CheckHost.setUpFailure(e);
    }
  }
}
