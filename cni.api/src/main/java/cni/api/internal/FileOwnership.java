package cni.api.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;

/**
 * Decides whether a user other than root and the user of this process may change a file or
 * directory.
 */
public final class FileOwnership {
  private static final int ROOT = 0;
  private static final int GROUP_WRITES = 0020;
  private static final int OTHERS_WRITE = 0002;
  private static final int STICKY = 01000;
  private static final int PERMISSIONS = 07777;

  private FileOwnership() {}

  /**
   * Returns why a file or directory is not trusted.
   *
   * @return such as "/opt/x is owned by user 1000" or "/opt/x may be written to by others (mode
   *     0777)"; absent if only root and this process's user may write to it, or if its file system
   *     has no owners and modes
   * @throws IOException if it does not exist or its attributes cannot be read
   */
  public static Optional<String> objection(Path file) throws IOException {
    return objection(file, false);
  }

  /**
   * Returns why a path is not trusted: a file or directory, or one of the directories above it. A
   * directory above that has the sticky bit, such as /tmp, may be written to by others: nobody can
   * replace the entries of another owner there.
   *
   * @return as {@link #objection(Path)} has it
   * @throws IOException if a file does not exist or its attributes cannot be read
   */
  public static Optional<String> objectionToPath(Path file) throws IOException {
    Path real = file.toRealPath();
    Optional<String> objection = objection(real, false);
    for (Path above = real.getParent();
        above != null && objection.isEmpty();
        above = above.getParent()) {
      objection = objection(above, true);
    }
    return objection;
  }

  private static Optional<String> objection(Path file, boolean stickySuffices) throws IOException {
    Map<String, Object> attributes;
    try {
      attributes = Files.readAttributes(file, "unix:uid,gid,mode");
    } catch (UnsupportedOperationException | IllegalArgumentException e) {
      return Optional.empty(); // a file system without owners, such as jimfs in tests
    }
    int uid = number(attributes, "uid");
    int mode = number(attributes, "mode");
    if (!Trusted.UIDS.contains(uid)) {
      return Optional.of(file + " is owned by user " + uid);
    }
    boolean groupIsTrusted = Trusted.GIDS.contains(number(attributes, "gid"));
    boolean writable =
        (mode & OTHERS_WRITE) != 0 || ((mode & GROUP_WRITES) != 0 && !groupIsTrusted);
    if (!writable || (stickySuffices && (mode & STICKY) != 0)) {
      return Optional.empty();
    }
    return Optional.of(
        "%s may be written to by others (mode %04o)".formatted(file, mode & PERMISSIONS));
  }

  private static int number(Map<String, Object> attributes, String name) {
    return (Integer) Objects.requireNonNull(attributes.get(name));
  }

  /** Users and groups that may change any file of this process. */
  private static final class Trusted {
    static final Set<Integer> UIDS = ids("uid");
    static final Set<Integer> GIDS = ids("gid");

    /**
     * Reads the effective id of this process, which owns /proc/self (proc(5)). In a user namespace
     * that has no id for the host's root, the host's files appear to be owned by the overflow id
     * (user_namespaces(7)).
     */
    private static Set<Integer> ids(String kind) {
      try {
        int own = (Integer) Files.getAttribute(Path.of("/proc/self/"), "unix:" + kind);
        String map = Files.readString(Path.of("/proc/self/" + kind + "_map")).strip();
        String overflow = Files.readString(Path.of("/proc/sys/kernel/overflow" + kind)).strip();
        return map.matches("0\\s+0\\s+4294967295")
            ? Set.copyOf(List.of(ROOT, own))
            : Set.copyOf(List.of(ROOT, own, Integer.parseInt(overflow)));
      } catch (IOException e) {
        return Set.of(ROOT);
      }
    }
  }
}
