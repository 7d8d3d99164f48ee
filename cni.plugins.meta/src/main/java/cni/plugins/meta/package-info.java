// SPDX-License-Identifier: Apache-2.0
/**
 * Code shared by the chained ("meta") plugins. Each plugin has its own package: bandwidth, debug,
 * firewall, portmap, sbr, tuning, vrf.
 */
@NullMarked
package cni.plugins.meta;

import org.jspecify.annotations.NullMarked;
