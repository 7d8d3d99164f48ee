// SPDX-License-Identifier: Apache-2.0
/** The bandwidth plugin: limits the rates at which a container receives and sends. */
@NullMarked
package cni.plugins.meta.bandwidth;

import org.jspecify.annotations.NullMarked;
