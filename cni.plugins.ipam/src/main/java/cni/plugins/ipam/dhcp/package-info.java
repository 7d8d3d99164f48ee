// SPDX-License-Identifier: Apache-2.0
/** The dhcp plugin: acquires addresses from DHCP and DHCPv6 servers; the client and the daemon. */
@NullMarked
package cni.plugins.ipam.dhcp;

import org.jspecify.annotations.NullMarked;
