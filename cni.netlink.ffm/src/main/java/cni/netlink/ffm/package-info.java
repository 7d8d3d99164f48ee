// SPDX-License-Identifier: Apache-2.0
/**
 * Netlink, netlink(7): sockets, requests, responses, notifications, and the exceptions of this
 * module. The packages {@code route}, {@code tc} and {@code nftables} contain the families.
 */
@NullMarked
package cni.netlink.ffm;

import org.jspecify.annotations.NullMarked;
