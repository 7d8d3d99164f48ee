// SPDX-License-Identifier: Apache-2.0
/**
 * Unix stream sockets, unix(7), with what java.nio does not offer: descriptors passed between
 * processes, the peer's credentials, and a socket file that has its mode from the beginning.
 */
@NullMarked
package cni.netlink.ffm.unix;

import org.jspecify.annotations.NullMarked;
