/** The routing family of netlink, rtnetlink(7): links, addresses, routes, neighbours. */
@NullMarked
package cni.netlink.ffm.route;

import org.jspecify.annotations.NullMarked;
