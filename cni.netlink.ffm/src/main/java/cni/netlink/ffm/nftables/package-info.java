/** Netfilter over NETLINK_NETFILTER: nf_tables, its iptables layer, and connection tracking. */
@NullMarked
package cni.netlink.ffm.nftables;

import org.jspecify.annotations.NullMarked;
