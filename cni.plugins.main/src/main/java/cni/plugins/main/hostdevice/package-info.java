// SPDX-License-Identifier: Apache-2.0
/** The host-device plugin: moves a device of the host into the container. */
@NullMarked
package cni.plugins.main.hostdevice;

import org.jspecify.annotations.NullMarked;
