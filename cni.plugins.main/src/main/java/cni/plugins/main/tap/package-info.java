// SPDX-License-Identifier: Apache-2.0
/** The tap plugin. */
@NullMarked
package cni.plugins.main.tap;

import org.jspecify.annotations.NullMarked;
