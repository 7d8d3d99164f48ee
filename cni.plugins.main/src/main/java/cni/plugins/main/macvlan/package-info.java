// SPDX-License-Identifier: Apache-2.0
/** The macvlan plugin. */
@NullMarked
package cni.plugins.main.macvlan;

import org.jspecify.annotations.NullMarked;
