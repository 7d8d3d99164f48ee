package cni.netlink.ffm.process;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The environment of a child process. What it inherits keeps its bytes, whatever encoding the JVM
 * believes in.
 */
public final class ChildEnvironment {
  private static final int MAX_VARIABLE_LENGTH = 1 << 20;

  private final List<byte[]> variables;

  private ChildEnvironment(List<byte[]> variables) {
    this.variables = variables;
  }

  /** No variables. */
  public static ChildEnvironment empty() {
    return new ChildEnvironment(List.of());
  }

  /** That of this process, {@code environ} of environ(7). */
  @SuppressWarnings("restricted") // the C library's array has no length of its own
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
        return new ChildEnvironment(variables);
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

  /** The same without the variables whose names begin so. */
  public ChildEnvironment withoutPrefix(String prefix) {
    return new ChildEnvironment(
        variables.stream()
            .filter(bytes -> !new String(bytes, StandardCharsets.ISO_8859_1).startsWith(prefix))
            .toList());
  }

  /** The same with these variables, in place of any that have their names. */
  public ChildEnvironment with(Map<String, String> more) {
    ChildEnvironment others = this;
    for (String name : more.keySet()) {
      others = others.withoutPrefix(name + "=");
    }
    List<byte[]> all = new ArrayList<>(others.variables);
    more.forEach((name, value) -> all.add((name + "=" + value).getBytes(StandardCharsets.UTF_8)));
    return new ChildEnvironment(all);
  }

  public List<byte[]> variables() {
    return variables;
  }
}
