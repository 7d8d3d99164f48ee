// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The environment of a child process, environ(7), and its working directory. Immutable. Inherited
 * variables keep their bytes, independent of the encoding that the JVM assumes.
 */
public final class ChildEnvironment {
  private static final int MAX_VARIABLE_LENGTH = 1 << 20;

  /**
   * Precedes the names of the variables that the launcher of an image (cni.cli,
   * src/main/image/cni-jvm) has removed or set for the JVM. The values are {@code =VALUE}, or empty
   * if the launcher's caller has not set the variable.
   */
  private static final String CALLER_PREFIX = "CNI_CALLER_";

  private final List<byte[]> variables;
  private final String directory;

  private ChildEnvironment(List<byte[]> variables, String directory) {
    this.variables = variables;
    this.directory = directory;
  }

  /** Returns an environment without variables, in the working directory of this process. */
  public static ChildEnvironment empty() {
    return new ChildEnvironment(List.of(), "");
  }

  /**
   * Returns the environment and the working directory of this process. In an image the environment
   * is that of the launcher's caller, without the changes that the launcher makes for the JVM.
   */
  public static ChildEnvironment inherited() {
    return new ChildEnvironment(ofCaller(environ()), "");
  }

  @SuppressWarnings("restricted") // the size of the C library's array is not known
  private static List<byte[]> environ() {
    MemorySegment environ =
        Linker.nativeLinker()
            .defaultLookup()
            .findOrThrow("environ")
            .reinterpret(ADDRESS.byteSize())
            .get(ADDRESS, 0)
            .reinterpret(Long.MAX_VALUE);
    List<byte[]> variables = new ArrayList<>();
    for (long i = 0; ; i++) {
      MemorySegment text = environ.getAtIndex(ADDRESS, i);
      if (text.equals(MemorySegment.NULL)) {
        return variables;
      }
      variables.add(bytes(text.reinterpret(MAX_VARIABLE_LENGTH)));
    }
  }

  private static byte[] bytes(MemorySegment text) {
    long length = 0;
    while (text.get(JAVA_BYTE, length) != 0) {
      length++;
    }
    return text.asSlice(0, length).toArray(JAVA_BYTE);
  }

  /** Returns the variables of this process as the launcher's caller has them. */
  static List<byte[]> ofCaller(List<byte[]> own) {
    List<String> saved = new ArrayList<>(); // NAME= or NAME==VALUE
    for (byte[] variable : own) {
      String text = text(variable);
      if (text.startsWith(CALLER_PREFIX)) {
        saved.add(text.substring(CALLER_PREFIX.length()));
      }
    }
    if (saved.isEmpty()) {
      return own;
    }
    List<byte[]> all = new ArrayList<>(own);
    all.removeIf(variable -> isReplaced(text(variable), saved));
    for (String variable : saved) {
      int name = variable.indexOf('=') + 1;
      if (name < variable.length()) {
        String restored = variable.substring(0, name) + variable.substring(name + 1);
        all.add(restored.getBytes(StandardCharsets.ISO_8859_1));
      }
    }
    return all;
  }

  private static boolean isReplaced(String variable, List<String> saved) {
    return variable.startsWith(CALLER_PREFIX)
        || saved.stream().anyMatch(it -> variable.startsWith(it.substring(0, it.indexOf('=') + 1)));
  }

  /** Decodes bytes to characters one by one, so that encoding restores them. */
  private static String text(byte[] variable) {
    return new String(variable, StandardCharsets.ISO_8859_1);
  }

  /** Returns a copy without the variables whose names start with a prefix. */
  public ChildEnvironment withoutPrefix(String prefix) {
    return new ChildEnvironment(
        variables.stream().filter(variable -> !text(variable).startsWith(prefix)).toList(),
        directory);
  }

  /** Returns a copy in which these variables are set, encoded as UTF-8. */
  public ChildEnvironment with(Map<String, String> more) {
    ChildEnvironment others = this;
    for (String name : more.keySet()) {
      others = others.withoutPrefix(name + "=");
    }
    List<byte[]> all = new ArrayList<>(others.variables);
    more.forEach((name, value) -> all.add((name + "=" + value).getBytes(StandardCharsets.UTF_8)));
    return new ChildEnvironment(all, directory);
  }

  /**
   * Returns a copy with another working directory, which must exist when the process starts.
   * Without posix_spawn_file_actions_addchdir_np (glibc before 2.29) it has no effect.
   */
  public ChildEnvironment in(Path workingDirectory) {
    return new ChildEnvironment(variables, workingDirectory.toString());
  }

  /** Returns the working directory; empty for that of this process. */
  String directory() {
    return directory;
  }

  /** Returns the variables, each {@code NAME=value} without a terminating zero. */
  List<byte[]> variables() {
    return variables;
  }
}
