// SPDX-License-Identifier: Apache-2.0
/** Code shared by the address management (IPAM) plugins. */
@NullMarked
package cni.plugins.ipam;

import org.jspecify.annotations.NullMarked;
