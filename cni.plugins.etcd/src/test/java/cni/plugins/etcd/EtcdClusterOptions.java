// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How an {@link EtcdCluster} is set up.
 *
 * @param members the number of members, 1 or 3
 * @param parent the directory in which the cluster creates its own; that of temporary files if null
 * @param fsync whether the members call fdatasync(2). Without it a commit is faster by an order of
 *     magnitude and is durable unless the machine itself stops: a killed process loses nothing that
 *     is in the page cache.
 * @param snapshotCount the number of transactions after which a member writes a Raft snapshot
 * @param quotaBytes the size of a member's database above which writes are refused; etcd's default
 *     if 0
 * @param tls the certificates of the client port; null for plain HTTP
 */
record EtcdClusterOptions(
    int members,
    @Nullable Path parent,
    boolean fsync,
    int snapshotCount,
    long quotaBytes,
    @Nullable Tls tls) {
  private static final int DEFAULT_SNAPSHOT_COUNT = 500;

  /**
   * The certificates of the client port. The ports between members have plain HTTP.
   *
   * @param authority the certificate of the authority that issues those of servers and clients
   * @param server the certificate of all members. The JSON gateway of a member is a gRPC client of
   *     the member that presents this certificate, hence it needs the extended key usages of a
   *     server and of a client.
   * @param client the certificate with which {@link EtcdCluster#etcdctl} connects; null for none
   * @param clientRequired whether members refuse clients without a certificate
   * @param serverName the host name in the certificate, which members advertise instead of their
   *     address; null if the certificate is for their addresses
   */
  record Tls(
      Path authority,
      PemIdentity server,
      @Nullable PemIdentity client,
      boolean clientRequired,
      @Nullable String serverName) {}

  /**
   * A certificate and its private key, in PEM files.
   *
   * @param certificate the file of the certificate
   * @param key the file of the private key
   */
  record PemIdentity(Path certificate, Path key) {}

  EtcdClusterOptions {
    if (members != 1 && members != 3) {
      throw new IllegalArgumentException(members + " members");
    }
  }

  /** Returns the options of members without TLS in a temporary directory. */
  static EtcdClusterOptions members(int members) {
    return new EtcdClusterOptions(members, null, false, DEFAULT_SNAPSHOT_COUNT, 0, null);
  }

  EtcdClusterOptions in(Path directory) {
    return new EtcdClusterOptions(members, directory, fsync, snapshotCount, quotaBytes, tls);
  }

  EtcdClusterOptions withFsync() {
    return new EtcdClusterOptions(members, parent, true, snapshotCount, quotaBytes, tls);
  }

  EtcdClusterOptions withSnapshotCount(int count) {
    return new EtcdClusterOptions(members, parent, fsync, count, quotaBytes, tls);
  }

  EtcdClusterOptions withQuota(long bytes) {
    return new EtcdClusterOptions(members, parent, fsync, snapshotCount, bytes, tls);
  }

  EtcdClusterOptions withTls(Tls with) {
    return new EtcdClusterOptions(members, parent, fsync, snapshotCount, quotaBytes, with);
  }
}
