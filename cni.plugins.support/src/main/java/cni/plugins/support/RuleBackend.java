// SPDX-License-Identifier: Apache-2.0
package cni.plugins.support;

import cni.api.CniException;
import cni.api.ConfigObject;
import cni.netlink.ffm.Errno;
import cni.netlink.ffm.NetlinkException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Where a plugin keeps its rules; the two backends of the reference plugins. */
public enum RuleBackend {
  /**
   * Not configured: where the reference plugins keep them, so that DEL and CHECK by these find
   * them. That is the tables of iptables if its nf_tables variant is installed as {@code iptables},
   * and otherwise the plugin's own table. Rules of the legacy variant cannot be added here.
   */
  AUTO,
  /** The plugin's own table. */
  NFTABLES,
  /** The tables of iptables. */
  IPTABLES;

  /**
   * Reads the key that names a backend.
   *
   * @return never {@link #AUTO}; empty if the configuration does not have the key
   * @throws CniException code 7 if the value is neither {@code nftables} nor {@code iptables}
   */
  public static Optional<RuleBackend> parse(ConfigObject config, String key) throws CniException {
    Optional<String> name = config.text(key);
    if (name.isEmpty()) {
      return Optional.empty();
    }
    return switch (name.get()) {
      case "nftables" -> Optional.of(NFTABLES);
      case "iptables" -> Optional.of(IPTABLES);
      default -> throw config.invalid(key, "must be \"nftables\" or \"iptables\"");
    };
  }

  /** An operation on the rules of a backend that is not {@link #AUTO}. */
  @FunctionalInterface
  public interface Operation<E extends Exception> {
    /** Runs the operation. */
    void run(RuleBackend backend) throws IOException, E;
  }

  /**
   * Adds rules to the tables of this backend. With {@link #AUTO}, if the kernel lacks the matches
   * and targets of iptables, adds them to the plugin's own table.
   *
   * @throws IOException what the operation throws
   * @throws E what the operation throws
   */
  public <E extends Exception> void add(Operation<E> operation) throws IOException, E {
    RuleBackend first = resolve();
    try {
      operation.run(first);
    } catch (NetlinkException e) {
      if (this != AUTO || first == NFTABLES || !isUnsupported(e)) {
        throw e;
      }
      operation.run(NFTABLES);
    }
  }

  /** Returns the backend that {@link #AUTO} stands for on this host, or this one. */
  public RuleBackend resolve() {
    return resolve(HostCommand.DIRECTORIES);
  }

  /** Returns the other backend of a {@linkplain #resolve resolved} one. */
  public RuleBackend other() {
    return this == NFTABLES ? IPTABLES : NFTABLES;
  }

  /** Returns the backend that {@link #AUTO} stands for, or this one if it is another. */
  RuleBackend resolve(List<Path> directories) {
    if (this != AUTO) {
      return this;
    }
    Optional<Path> iptables = HostCommand.find("iptables", directories);
    return iptables.isPresent() && isNftVariant(iptables.get()) ? IPTABLES : NFTABLES;
  }

  /** Whether a command is a link to the program that serves all commands of the nft variant. */
  private static boolean isNftVariant(Path command) {
    try {
      return command.toRealPath().endsWith("xtables-nft-multi");
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether the kernel lacks the matches or targets of iptables. */
  public static boolean isUnsupported(NetlinkException e) {
    return e.is(Errno.ENOENT) || e.is(Errno.EOPNOTSUPP);
  }
}
