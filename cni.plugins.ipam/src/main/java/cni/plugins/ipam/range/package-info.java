// SPDX-License-Identifier: Apache-2.0
/**
 * The ranges that host-local and etcd allocate addresses from, and the addresses that are requested
 * of them.
 */
@NullMarked
package cni.plugins.ipam.range;

import org.jspecify.annotations.NullMarked;
