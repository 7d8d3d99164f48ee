// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.unix;

/**
 * Who connected a socket: SO_PEERCRED of unix(7).
 *
 * @param pid its process id at that time, in this process's pid namespace; 0 if it has none there
 * @param uid its user id, in this process's user namespace
 * @param gid its group id
 */
public record PeerCredentials(int pid, int uid, int gid) {}
