// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import cni.api.CniException;
import cni.api.ConfigFault;
import cni.api.ConfigRecorder;
import cni.api.internal.CniRunnable;
import cni.runtime.ConfigProblem.Severity;
import java.util.ArrayList;
import java.util.List;

/** The problems of one configuration, by the paths of their keys in its list form. */
final class ConfigFindings {
  /** A reader that runs this often without getting on is given up. */
  private static final int MAX_RUNS = 1000;

  /** The path of the whole configuration. */
  static final String WHOLE = "";

  /** A problem at a key. */
  record Entry(Severity severity, ConfigFault fault) {}

  private final List<Entry> findings = new ArrayList<>();

  List<Entry> list() {
    return findings;
  }

  boolean hasErrors() {
    return findings.stream().anyMatch(it -> it.severity() == Severity.ERROR);
  }

  void error(String key, String value, String reason) {
    add(Severity.ERROR, new ConfigFault(key, value, reason));
  }

  void warning(String key, String value, String reason) {
    add(Severity.WARNING, new ConfigFault(key, value, reason));
  }

  private void add(Severity severity, ConfigFault fault) {
    var entry = new Entry(severity, fault);
    if (!findings.contains(entry)) {
      findings.add(entry);
    }
  }

  /** Adds the warnings of readers, without those of values that are missing because hidden. */
  void addWarnings(ConfigRecorder recorder) {
    recorder.warnings().stream()
        .filter(it -> !recorder.isHidden(it.key()) && !mentionsHidden(it, recorder))
        .forEach(it -> add(Severity.WARNING, it));
  }

  /**
   * Runs a reader that throws at the first error until it finds no further one: the value that an
   * error is about is hidden before the next run. An error of a value that is hidden, has a hidden
   * value inside or needs a hidden value beside it is a consequence and not reported; the value
   * around a hidden one is then hidden, too.
   *
   * @param root the path of the object that the reader reads, for errors that are about no key
   * @return whether the reader succeeded in the end, so that it has read all that it reads
   */
  boolean collect(String root, ConfigRecorder recorder, CniRunnable reader) {
    for (int i = 0; i < MAX_RUNS; i++) {
      try {
        reader.run();
        return true;
      } catch (CniException e) {
        if (!hide(root, recorder, e)) {
          return false;
        }
      } catch (RuntimeException | LinkageError | StackOverflowError e) {
        error(root, "", "cannot be validated: unexpected " + e);
        return false;
      }
    }
    return false;
  }

  /** Reports an error and those that it suppresses; returns whether anything has been hidden. */
  private boolean hide(String root, ConfigRecorder recorder, CniException e) {
    boolean progress = report(root, recorder, e);
    for (Throwable suppressed : e.getSuppressed()) {
      progress |= suppressed instanceof CniException it && report(root, recorder, it);
    }
    return progress;
  }

  private boolean report(String root, ConfigRecorder recorder, CniException e) {
    if (e.fault().isEmpty()) {
      error(root, "", e.getMessage());
      return false;
    }
    ConfigFault fault = e.fault().get();
    String key = fault.key();
    if (recorder.isHidden(key)) {
      String around = parent(key);
      return around.length() > root.length() && recorder.hide(around);
    }
    if (!recorder.hidesInside(key) && !mentionsHidden(fault, recorder)) {
      add(Severity.ERROR, fault);
    }
    return recorder.hide(key);
  }

  /** Whether an error is about a key beside it that is only missing because it is hidden. */
  private static boolean mentionsHidden(ConfigFault fault, ConfigRecorder recorder) {
    String around = parent(fault.key());
    for (String word : fault.reason().split("[^A-Za-z0-9]+", -1)) {
      if (recorder.isHiddenIgnoringCase(around.isEmpty() ? word : around + "." + word)) {
        return true;
      }
    }
    return false;
  }

  /** Returns the path of the object or list that a key or an element is in. */
  static String parent(String key) {
    return key.substring(0, Math.max(0, Math.max(key.lastIndexOf('.'), key.lastIndexOf('['))));
  }
}
