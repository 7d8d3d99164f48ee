// SPDX-License-Identifier: Apache-2.0
/** The vlan plugin. */
@NullMarked
package cni.plugins.main.vlan;

import org.jspecify.annotations.NullMarked;
