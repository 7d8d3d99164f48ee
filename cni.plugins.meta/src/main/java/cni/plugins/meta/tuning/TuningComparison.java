// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.tuning;

import cni.api.AttachmentRequest;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Differences;
import cni.api.Json;
import cni.api.Result;
import cni.api.UpdateRequest;
import cni.netlink.ffm.file.Sysctl;
import cni.netlink.ffm.route.Link;
import cni.plugins.meta.PreviousResult;
import cni.plugins.support.AttachmentCheck;
import cni.plugins.support.NetNsSession;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import tools.jackson.databind.node.ObjectNode;

/**
 * Compares the sysctls and the interface of an attachment with the desired ones. What is no longer
 * configured gets the value back that it had before the ADD, if that was saved.
 */
final class TuningComparison {
  private final UpdateRequest request;
  private final TuningConfig current;
  private final TuningConfig desired;
  private final SysctlAllowList allowList;
  private final SavedLinkSettings savedSettings;
  private final Optional<ConfigObject> saved;
  private final Differences differences;

  private TuningComparison(
      UpdateRequest request,
      TuningConfig current,
      TuningConfig desired,
      SysctlAllowList allowList,
      Differences differences)
      throws CniException {
    this.request = request;
    this.current = current;
    this.desired = desired;
    this.allowList = allowList;
    this.differences = differences.of(Differences.Kind.SYSCTL);
    savedSettings = TuningPlugin.savedSettings(request.desired().config());
    saved =
        current.equals(desired)
            ? Optional.empty()
            : savedSettings.load(request.desired().attachment().id());
  }

  /**
   * Adds the differences.
   *
   * @return the desired result
   */
  static Result compare(UpdateRequest request, SysctlAllowList allowList, Differences differences)
      throws CniException {
    AttachmentRequest wanted = request.desired();
    TuningConfig desired = parse(wanted);
    TuningConfig current = request.isUnchanged() ? desired : parse(request.current());
    if (!current.equals(desired)) {
      allowList.requireAllowed(desired.sysctl().keySet());
    }
    Result previous = PreviousResult.require(wanted);
    NetNsSession host = differences.keep(NetNsSession.openHost(wanted.context()));
    NetNsSession container = differences.keep(NetNsSession.openContainer(wanted, host));
    try {
      Optional<Link> link = AttachmentCheck.findInterface(wanted, container, differences);
      return link.isEmpty()
          ? previous
          : new TuningComparison(request, current, desired, allowList, differences)
              .compare(previous, container, link.get());
    } catch (IOException e) {
      throw NetNsSession.failure("checking " + wanted.attachment().interfaceName(), e);
    }
  }

  private static TuningConfig parse(AttachmentRequest request) throws CniException {
    return TuningConfig.parse(request.config(), request.attachment().args().toMap());
  }

  private Result compare(Result previous, NetNsSession container, Link link)
      throws CniException, IOException {
    Map<String, String> sysctls = sysctls(desired);
    Map<String, String> removed = sysctls(current);
    removed.keySet().removeAll(sysctls.keySet());
    Map<String, String> actual = read(container, sysctls, removed);
    List<LinkSetting> settings =
        LinkSetting.list(link, current, desired, saved, plannedMac(previous, link));
    saveSettings(actual, sysctls, settings);
    compareSysctls(container, sysctls, actual);
    restoreSysctls(container, removed, actual);
    for (LinkSetting setting : settings) {
      setting.compare(
          container, link, hasIpv6(previous), differences.of(Differences.Kind.LINK_SETTING));
    }
    return updateResult(previous, settings);
  }

  /**
   * Returns the hardware address that an earlier plugin of the chain, such as bridge, gives the
   * interface in the same update: the previous result has it already.
   */
  private Optional<String> plannedMac(Result previous, Link link) {
    String before = current.mac().orElse(link.mac());
    return previous.interfaces().stream()
        .filter(PreviousResult.isContainerInterface(request.desired(), previous))
        .map(Result.Interface::mac)
        .filter(mac -> !mac.isEmpty() && !mac.equalsIgnoreCase(before))
        .findFirst();
  }

  private boolean hasIpv6(Result previous) {
    return PreviousResult.containerIps(request.desired(), previous).stream()
        .anyMatch(ip -> !ip.address().isV4());
  }

  /** Returns the values by the paths of the sysctls. */
  private Map<String, String> sysctls(TuningConfig config) throws CniException {
    Map<String, String> byPath = new LinkedHashMap<>();
    for (Map.Entry<String, String> entry : config.sysctl().entrySet()) {
      byPath.put(TuningPlugin.sysctlKey(entry.getKey(), request.desired()), entry.getValue());
    }
    return byPath;
  }

  /** Reads the desired sysctls, and those no longer desired as far as they can be read. */
  private static Map<String, String> read(
      NetNsSession container, Map<String, String> sysctls, Map<String, String> removed)
      throws IOException {
    Map<String, String> actual = new LinkedHashMap<>();
    if (sysctls.isEmpty() && removed.isEmpty()) {
      return actual;
    }
    container.runSysctl(
        sysctl -> {
          for (String path : sysctls.keySet()) {
            actual.put(path, sysctl.get(path));
          }
          for (String path : removed.keySet()) {
            TuningPlugin.readIfPossible(sysctl, path).ifPresent(it -> actual.put(path, it));
          }
        });
    return actual;
  }

  private void compareSysctls(
      NetNsSession container, Map<String, String> sysctls, Map<String, String> actual) {
    sysctls.forEach(
        (path, expected) -> {
          String value = actual.getOrDefault(path, "");
          // The kernel separates multiple numbers by tabs, configurations usually by spaces.
          if (!words(value).equals(words(expected))) {
            String finding =
                "sysctl %s is %s, expected %s"
                    .formatted(path, Json.quote(value), Json.quote(expected));
            addSysctl(container, finding, path, value, expected);
          }
        });
  }

  private static List<String> words(String text) {
    return List.of(text.strip().split("\\s+", -1));
  }

  private void addSysctl(
      NetNsSession container, String finding, String path, String value, String expected) {
    Optional<String> refusal = refusal(path);
    if (refusal.isPresent()) {
      differences.addUnchangeable(finding + "; " + refusal.get());
      return;
    }
    differences.add(
        finding,
        "set sysctl %s to %s".formatted(Sysctl.name(path), Json.quote(expected)),
        () -> container.runSysctl(it -> TuningPlugin.set(it, path, expected)),
        () -> container.runSysctl(it -> TuningPlugin.set(it, path, value)));
  }

  /** Returns why the host's administrator does not allow a sysctl of the configuration. */
  private Optional<String> refusal(String path) {
    try {
      for (String key : desired.sysctl().keySet()) {
        if (TuningPlugin.sysctlKey(key, request.desired()).equals(path)) {
          allowList.requireAllowed(Set.of(key));
        }
      }
      return Optional.empty();
    } catch (CniException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /** Restores the values that the sysctls had before they were configured, as far as known. */
  private void restoreSysctls(
      NetNsSession container, Map<String, String> removed, Map<String, String> actual)
      throws CniException {
    Optional<ConfigObject> values =
        saved.isPresent() ? saved.get().object(SavedLinkSettings.SYSCTL_KEY) : Optional.empty();
    for (String path : removed.keySet()) {
      Optional<String> before = values.isPresent() ? values.get().text(path) : Optional.empty();
      String value = actual.getOrDefault(path, "");
      if (before.isEmpty()) {
        differences.add(
            "sysctl %s is no longer configured; its value before is not known".formatted(path),
            "leave sysctl %s at %s".formatted(Sysctl.name(path), Json.quote(value)),
            Differences.Action.NONE,
            Differences.Action.NONE);
      } else if (!words(value).equals(words(before.get()))) {
        String finding =
            "sysctl %s is %s, but no longer configured".formatted(path, Json.quote(value));
        addSysctl(container, finding, path, value, before.get());
      }
    }
  }

  /**
   * Adds the values that are about to be configured for the first time to those that DEL restores;
   * removes those that are no longer configured once all has succeeded.
   */
  private void saveSettings(
      Map<String, String> actual, Map<String, String> sysctls, List<LinkSetting> settings)
      throws CniException {
    if (current.equals(desired)) {
      return;
    }
    Map<String, String> known = sysctls(current);
    ObjectNode before = saved.map(ConfigObject::json).orElseGet(Json::object);
    ObjectNode more = before.deepCopy();
    actual.forEach(
        (path, value) -> {
          if (sysctls.containsKey(path) && !known.containsKey(path)) {
            SavedLinkSettings.addSysctl(more, path, value);
          }
        });
    settings.forEach(it -> it.save(more));
    ObjectNode kept = more.deepCopy();
    known.keySet().stream()
        .filter(path -> !sysctls.containsKey(path))
        .forEach(path -> SavedLinkSettings.removeSysctl(kept, path));
    settings.forEach(it -> it.forget(kept));
    addSaving(before, more, kept);
  }

  private void addSaving(ObjectNode before, ObjectNode more, ObjectNode kept) throws CniException {
    AttachmentRequest wanted = request.desired();
    String name = wanted.attachment().interfaceName();
    if (!more.equals(before)) {
      differences
          .of(Differences.Kind.OTHER)
          .add(
              "the settings that %s has without the tuning are not saved".formatted(name),
              "save the settings that %s has without the tuning".formatted(name),
              () -> store(more),
              () -> store(before));
    }
    if (!kept.equals(more)) {
      differences.addCompletion(
          "forget the saved settings of %s that have been restored".formatted(name),
          () -> store(kept));
    }
  }

  private void store(ObjectNode settings) throws CniException {
    AttachmentRequest wanted = request.desired();
    if (SavedLinkSettings.isEmpty(settings)) {
      savedSettings.delete(wanted.attachment().id());
    } else {
      savedSettings.save(wanted.config().network(), wanted.attachment().id(), settings);
    }
  }

  private Result updateResult(Result previous, List<LinkSetting> settings) {
    Predicate<Result.Interface> isContainers =
        PreviousResult.isContainerInterface(request.desired(), previous);
    List<Result.Interface> interfaces = new ArrayList<>();
    for (Result.Interface it : previous.interfaces()) {
      Result.Interface updated = it;
      if (isContainers.test(it)) {
        for (LinkSetting setting : settings) {
          updated = setting.update(updated);
        }
      }
      interfaces.add(updated);
    }
    return previous.withInterfaces(interfaces);
  }
}
