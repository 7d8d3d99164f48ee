// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A view that records which keys are read and does not show those that {@link ConfigRecorder#hide}
 * hides. Only validation uses it; requests that plugins serve have plain views.
 */
final class RecordingConfigObject extends ConfigObject {
  private final ConfigRecorder recorder;

  RecordingConfigObject(ObjectNode json, String path, ConfigRecorder recorder) {
    super(json, path);
    this.recorder = recorder;
  }

  /** {@inheritDoc} What is read from it is not known, so that none of its keys is judged. */
  @Override
  public ObjectNode json() {
    recorder.recordAll(path());
    return super.json();
  }

  /** {@inheritDoc} Uses the spelling of the configuration, which may differ in case. */
  @Override
  public String path(String key) {
    String spelled = key;
    if (!content().has(key)) {
      for (String name : content().propertyNames()) {
        if (name.equalsIgnoreCase(key)) {
          spelled = name;
        }
      }
    }
    return super.path(spelled);
  }

  /** {@inheritDoc} The reader accepts any key. */
  @Override
  public List<String> keys() {
    recorder.recordAll(path());
    return super.keys().stream().filter(key -> !isHidden(path(key))).toList();
  }

  @Override
  public void warn(String key, String why) {
    recorder.warn(ConfigFault.of(path(key), super.node(key), why));
  }

  @Override
  public void ignore(String... keys) {
    for (String key : keys) {
      recorder.record(path(), key);
    }
  }

  @Override
  @Nullable JsonNode value(String key) throws CniException {
    recorder.record(path(), key);
    return isHidden(path(key)) ? null : super.value(key);
  }

  @Override
  @Nullable JsonNode node(String key) {
    recorder.record(path(), key);
    return isHidden(path(key)) ? null : super.node(key);
  }

  @Override
  boolean isHidden(String elementPath) {
    return recorder.isHidden(elementPath);
  }

  @Override
  ConfigObject nested(ObjectNode object, String objectPath) {
    return new RecordingConfigObject(object, objectPath, recorder);
  }
}
