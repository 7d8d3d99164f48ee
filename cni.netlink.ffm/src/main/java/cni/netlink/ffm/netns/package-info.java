// SPDX-License-Identifier: Apache-2.0
/** Network namespaces: opening, creating and entering them. */
@NullMarked
package cni.netlink.ffm.netns;

import org.jspecify.annotations.NullMarked;
