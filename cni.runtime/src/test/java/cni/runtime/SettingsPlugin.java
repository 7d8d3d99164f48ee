// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.Differences;
import cni.api.ErrorCode;
import cni.api.Result;
import cni.api.UpdatablePlugin;
import cni.api.UpdateRequest;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A plugin whose attachments are settings in memory: the keys {@code a}, {@code b} and the
 * capability argument {@code c}. A setting with the value {@code bad} cannot be made, and with
 * {@code unreachable} as {@code a} they cannot be deleted. After an update the settings that it has
 * changed are noted.
 */
public final class SettingsPlugin implements UpdatablePlugin {
  /** The settings of all containers: "container/key" to value. */
  static final Map<String, String> SETTINGS = new ConcurrentHashMap<>();

  /** The number of resources that comparisons have opened and not closed. */
  static final AtomicInteger OPEN = new AtomicInteger();

  /** Runs before each completion. */
  static volatile Differences.Action onNote = Differences.Action.NONE;

  private static final Set<String> KEYS = Set.of("a", "b", "c");

  /** Called by ServiceLoader. */
  public SettingsPlugin() {}

  @Override
  public String type() {
    return "settings";
  }

  @Override
  public Set<String> changeableKeys() {
    return Set.of("a", "b", "runtimeConfig.c");
  }

  private static String wanted(AttachmentRequest request, String key) throws CniException {
    var view = request.config().view();
    return key.equals("c")
        ? view.json().path("runtimeConfig").path("c").asString("")
        : view.text(key).orElse("");
  }

  private static String name(AttachmentRequest request, String key) {
    return request.attachment().containerId() + "/" + key;
  }

  @Override
  public Result add(AttachmentRequest request) throws CniException {
    for (String key : KEYS) {
      SETTINGS.put(name(request, key), wanted(request, key));
    }
    return request
        .prevResult()
        .orElse(Result.EMPTY.withInterfaces(List.of(new Result.Interface("eth0", "", 0, "/x"))));
  }

  @Override
  public Result compare(UpdateRequest request, Differences differences) throws CniException {
    OPEN.incrementAndGet();
    differences.keep(OPEN::decrementAndGet);
    for (String key : KEYS.stream().sorted().toList()) {
      String name = name(request.desired(), key);
      String value = wanted(request.desired(), key);
      String found = SETTINGS.getOrDefault(name, "missing");
      if (found.equals("gone")) {
        differences.addUnchangeable(key + " is gone");
      } else if (!found.equals(value)) {
        differences.add(
            "%s is %s, expected %s".formatted(key, found, value),
            "set %s to %s".formatted(key, value),
            () -> set(name, value),
            () -> set(name, found));
      }
      if (!value.equals(wanted(request.current(), key))) {
        differences.addCompletion("note " + key, () -> note(name, value));
      }
    }
    return request.desired().requirePrevResult();
  }

  private static void note(String name, String value) throws CniException, IOException {
    onNote.run();
    set(name + "/noted", value);
  }

  private static void set(String name, String value) throws IOException {
    if (value.equals("bad")) {
      throw new IOException("bad value");
    }
    SETTINGS.put(name, value);
  }

  @Override
  public void delete(AttachmentRequest request) throws CniException {
    if (wanted(request, "a").equals("unreachable")) {
      throw new CniException(ErrorCode.TRY_AGAIN_LATER, "the server does not answer");
    }
    KEYS.forEach(key -> SETTINGS.remove(name(request, key)));
  }
}
