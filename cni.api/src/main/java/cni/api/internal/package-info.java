// SPDX-License-Identifier: Apache-2.0
/** Helpers shared by the modules of this project; not an API. */
@NullMarked
package cni.api.internal;

import org.jspecify.annotations.NullMarked;
