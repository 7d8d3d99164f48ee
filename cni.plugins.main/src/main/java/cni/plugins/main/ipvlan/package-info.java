// SPDX-License-Identifier: Apache-2.0
/** The ipvlan plugin. */
@NullMarked
package cni.plugins.main.ipvlan;

import org.jspecify.annotations.NullMarked;
