// SPDX-License-Identifier: Apache-2.0
/** The portmap plugin: destination NAT from ports of the host to containers. */
@NullMarked
package cni.plugins.meta.portmap;

import org.jspecify.annotations.NullMarked;
