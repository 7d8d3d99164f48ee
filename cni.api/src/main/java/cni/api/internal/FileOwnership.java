// SPDX-License-Identifier: Apache-2.0
package cni.api.internal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

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
   * directory above that has the sticky bit, such as /tmp, may be written to by others: they cannot
   * replace the entries of other owners there (inode(7)). If the path names a symbolic link, those
   * above the link and above each further link are examined as well.
   *
   * @return the objection, in the form of {@link #objection(Path)}
   * @throws IOException if a file does not exist or its attributes cannot be read
   */
  public static Optional<String> objectionToPath(Path file) throws IOException {
    Path real = file.toRealPath(); // fails for a loop of links
    Path link = file.toAbsolutePath();
    while (Files.isSymbolicLink(link)) {
      Path parent = Objects.requireNonNull(link.getParent()).toRealPath();
      Optional<String> objection = objectionToDirectories(parent);
      if (objection.isPresent()) {
        return objection;
      }
      link = parent.resolve(Files.readSymbolicLink(link));
    }
    Optional<String> objection = objection(real, false);
    return objection.isPresent() ? objection : objectionToDirectories(real.getParent());
  }

  /** Returns why a directory, or one above it, is not trusted to keep its entries. */
  private static Optional<String> objectionToDirectories(@Nullable Path directory)
      throws IOException {
    Optional<String> objection = Optional.empty();
    for (Path it = directory; it != null && objection.isEmpty(); it = it.getParent()) {
      objection = objection(it, true);
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

  /** Returns the effective id of the user of this process; 0 without /proc. */
  static int ownUid() {
    return Trusted.OWN_UID;
  }

  private static int number(Map<String, Object> attributes, String name) {
    return (Integer) Objects.requireNonNull(attributes.get(name));
  }

  /** Users and groups that may change any file of this process. */
  private static final class Trusted {
    static final int OWN_UID = own("uid");
    static final Set<Integer> UIDS = ids("uid", OWN_UID);
    static final Set<Integer> GIDS = ids("gid", own("gid"));

    /** Reads the effective id of this process, which owns /proc/self (proc(5)). */
    private static int own(String kind) {
      try {
        return (Integer) Files.getAttribute(Path.of("/proc/self/"), "unix:" + kind);
      } catch (IOException e) {
        return ROOT;
      }
    }

    /**
     * Adds root's id to the own one. In a user namespace that has no id for the host's root, the
     * host's files appear to be owned by the overflow id (user_namespaces(7)).
     */
    private static Set<Integer> ids(String kind, int own) {
      try {
        String map = Files.readString(Path.of("/proc/self/" + kind + "_map")).strip();
        if (map.matches("0\\s+0\\s+4294967295")) {
          return Set.copyOf(List.of(ROOT, own));
        }
        String overflow = Files.readString(Path.of("/proc/sys/kernel/overflow" + kind)).strip();
        return Set.copyOf(List.of(ROOT, own, Integer.parseInt(overflow)));
      } catch (IOException e) {
        return Set.of(ROOT);
      }
    }
  }
}
