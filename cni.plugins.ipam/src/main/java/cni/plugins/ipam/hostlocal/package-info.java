// SPDX-License-Identifier: Apache-2.0
/** The host-local plugin: allocates addresses from ranges, with reservations in local files. */
@NullMarked
package cni.plugins.ipam.hostlocal;

import org.jspecify.annotations.NullMarked;
