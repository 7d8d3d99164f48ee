// SPDX-License-Identifier: Apache-2.0
/** Packet sockets, packet(7). */
@NullMarked
package cni.netlink.ffm.packet;

import org.jspecify.annotations.NullMarked;
