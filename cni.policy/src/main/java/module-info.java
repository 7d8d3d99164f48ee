// SPDX-License-Identifier: Apache-2.0
/**
 * Policies for the containers of a host: which traffic they may send and receive, and how much. It
 * reads the files of policies, keeps what it has to know about attachments, and keeps the rules of
 * nf_tables in accord with both. The plugin {@code policy}, the {@code cni policy} command and the
 * resident host use it.
 */
module cni.policy {
  requires transitive cni.api;
  requires transitive cni.netlink.ffm;
  requires transitive cni.plugins.support;

  exports cni.policy;
  exports cni.policy.file;
}
