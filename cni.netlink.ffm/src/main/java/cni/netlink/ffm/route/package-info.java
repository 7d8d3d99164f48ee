// SPDX-License-Identifier: Apache-2.0
/**
 * The routing family of netlink, rtnetlink(7): links, addresses, routes, policy rules and
 * neighbours. {@link cni.netlink.ffm.route.RouteSocket} sends the requests that the other types
 * build and returns what the kernel lists.
 */
@NullMarked
package cni.netlink.ffm.route;

import org.jspecify.annotations.NullMarked;
