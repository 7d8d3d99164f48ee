// SPDX-License-Identifier: Apache-2.0
/** The bridge plugin: connects a container to a bridge, by a port on the host. */
@NullMarked
package cni.plugins.bridge;

import org.jspecify.annotations.NullMarked;
