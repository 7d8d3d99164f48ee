/** Traffic control, tc(8): queueing disciplines, their classes, and filters. */
@NullMarked
package cni.netlink.ffm.tc;

import org.jspecify.annotations.NullMarked;
