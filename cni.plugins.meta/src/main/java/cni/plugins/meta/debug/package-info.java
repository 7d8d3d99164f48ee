// SPDX-License-Identifier: Apache-2.0
/** The debug plugin: records calls and runs commands in the container. */
@NullMarked
package cni.plugins.meta.debug;

import org.jspecify.annotations.NullMarked;
