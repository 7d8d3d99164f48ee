// SPDX-License-Identifier: Apache-2.0
/**
 * Netfilter over NETLINK_NETFILTER: nf_tables, its compatibility layer for iptables, and connection
 * tracking.
 *
 * <p>{@link cni.netlink.ffm.nftables.NftablesSocket} lists rules and commits a {@link
 * cni.netlink.ffm.nftables.Transaction}; {@link cni.netlink.ffm.nftables.RulesetReconciler} adds to
 * a transaction only what is missing. A table that one owner has for itself is a {@link
 * cni.netlink.ffm.nftables.TableContent}, which {@link cni.netlink.ffm.nftables.TableReconciler}
 * turns into another. {@link cni.netlink.ffm.nftables.RuleBuilder} and {@link
 * cni.netlink.ffm.nftables.IptablesRuleBuilder} build rules of the same expressions as nft(8) and
 * iptables(8), so that those show and delete them.
 */
@NullMarked
package cni.netlink.ffm.nftables;

import org.jspecify.annotations.NullMarked;
