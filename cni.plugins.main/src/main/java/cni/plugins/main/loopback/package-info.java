// SPDX-License-Identifier: Apache-2.0
/** The loopback plugin. */
@NullMarked
package cni.plugins.main.loopback;

import org.jspecify.annotations.NullMarked;
