// SPDX-License-Identifier: Apache-2.0
/**
 * Network namespaces for tests: hosts, containers, probes of their connectivity, and snapshots of
 * their state.
 */
@NullMarked
package cni.testing;

import org.jspecify.annotations.NullMarked;
