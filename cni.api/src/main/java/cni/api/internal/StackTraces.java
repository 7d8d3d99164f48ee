// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/**
 * Stack traces as text for the details of errors: bounded, so that an endless recursion or a long
 * chain of causes does not fill them.
 */
public final class StackTraces {
  /** The most frames of one throwable or thread; the top ones are kept. */
  private static final int MAX_FRAMES = 40;

  /** The most throwables of a chain of causes. */
  private static final int MAX_CAUSES = 8;

  private StackTraces() {}

  /** Returns the frames of an exception and of its causes, as {@code printStackTrace} lays out. */
  public static String of(Throwable failure) {
    var text = new StringBuilder();
    Set<Throwable> shown = Collections.newSetFromMap(new IdentityHashMap<>());
    String prefix = "";
    for (Throwable t = failure; t != null && shown.add(t); t = t.getCause()) {
      if (shown.size() > MAX_CAUSES) {
        text.append("Caused by: further causes\n");
        break;
      }
      text.append(prefix).append(Excerpt.ofMessage(t.toString())).append('\n');
      append(text, t.getStackTrace());
      prefix = "Caused by: ";
    }
    return text.toString().stripTrailing();
  }

  /** Returns the frames of a thread as it is now; after a line with its name and state. */
  public static String of(Thread thread) {
    var text = new StringBuilder();
    text.append("thread \"").append(thread.getName()).append("\" ");
    text.append(thread.getState()).append('\n');
    append(text, thread.getStackTrace());
    return text.toString().stripTrailing();
  }

  private static void append(StringBuilder text, StackTraceElement[] frames) {
    for (int i = 0; i < Math.min(frames.length, MAX_FRAMES); i++) {
      text.append("\tat ").append(frames[i]).append('\n');
    }
    if (frames.length > MAX_FRAMES) {
      text.append("\t... ").append(frames.length - MAX_FRAMES).append(" more\n");
    }
  }
}
