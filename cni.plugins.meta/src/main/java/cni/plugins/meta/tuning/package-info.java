// SPDX-License-Identifier: Apache-2.0
/** The tuning plugin: sets sysctls of a container and properties of its interface. */
@NullMarked
package cni.plugins.meta.tuning;

import org.jspecify.annotations.NullMarked;
