// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd;

import java.io.IOException;
import java.math.BigInteger;
import tools.jackson.databind.JsonNode;

/**
 * A member's view of the cluster.
 *
 * @param member the member that was asked
 * @param id its ID
 * @param leader the ID of the leader; 0 if it knows none
 * @param term its Raft term
 * @param revision its latest revision
 */
record MemberStatus(
    EtcdMember member, BigInteger id, BigInteger leader, BigInteger term, long revision) {
  /** Parses what {@code etcdctl endpoint status -w json} prints for one endpoint. */
  static MemberStatus parse(EtcdMember member, String text) throws IOException {
    JsonNode status = Etcdctl.json(text).path(0).path("Status");
    JsonNode header = status.path("header");
    return new MemberStatus(
        member,
        integer(header.path("member_id")),
        integer(status.path("leader")),
        integer(header.path("raft_term")),
        header.path("revision").asLong(0));
  }

  /** Returns a number of 64 bits without a sign; etcd omits one that is 0. */
  private static BigInteger integer(JsonNode node) {
    return node.isNumber() ? node.bigIntegerValue() : BigInteger.ZERO;
  }

  boolean isLeader() {
    return id.equals(leader);
  }
}
