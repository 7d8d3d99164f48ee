// SPDX-License-Identifier: Apache-2.0
/** The static plugin: returns the addresses that the configuration lists. */
@NullMarked
package cni.plugins.ipam.staticip;

import org.jspecify.annotations.NullMarked;
