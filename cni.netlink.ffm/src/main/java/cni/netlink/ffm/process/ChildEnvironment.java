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

  /** Returns the environment and the working directory of this process. */
  @SuppressWarnings("restricted") // the size of the C library's array is not known
  public static ChildEnvironment inherited() {
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
        return new ChildEnvironment(variables, "");
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

  /** Returns a copy without the variables whose names start with a prefix. */
  public ChildEnvironment withoutPrefix(String prefix) {
    return new ChildEnvironment(
        variables.stream()
            .filter(bytes -> !new String(bytes, StandardCharsets.ISO_8859_1).startsWith(prefix))
            .toList(),
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
