// SPDX-License-Identifier: Apache-2.0
/** The vrf plugin: moves an interface into a VRF device and its routing table. */
@NullMarked
package cni.plugins.meta.vrf;

import org.jspecify.annotations.NullMarked;
