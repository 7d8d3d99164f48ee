/**
 * What the chained ("meta") plugins share. Each plugin has a package of its own: bandwidth, debug,
 * firewall, portmap, sbr, tuning, vrf.
 */
@NullMarked
package cni.plugins.meta;

import org.jspecify.annotations.NullMarked;
