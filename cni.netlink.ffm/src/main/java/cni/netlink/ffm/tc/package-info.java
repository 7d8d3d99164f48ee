// SPDX-License-Identifier: Apache-2.0
/**
 * Traffic control over rtnetlink, tc(8): queueing disciplines (qdiscs), their classes, and filters.
 */
@NullMarked
package cni.netlink.ffm.tc;

import org.jspecify.annotations.NullMarked;
