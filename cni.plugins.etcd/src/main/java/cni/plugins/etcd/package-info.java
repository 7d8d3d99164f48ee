// SPDX-License-Identifier: Apache-2.0
/**
 * The etcd plugin: each node of a cluster claims blocks of addresses, and allocates addresses
 * inside them, by transactions of etcd. See docs/cluster.md for the keys and for what is
 * guaranteed.
 */
@NullMarked
package cni.plugins.etcd;

import org.jspecify.annotations.NullMarked;
