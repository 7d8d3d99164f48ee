// SPDX-License-Identifier: Apache-2.0
/** The dummy plugin. */
@NullMarked
package cni.plugins.main.dummy;

import org.jspecify.annotations.NullMarked;
