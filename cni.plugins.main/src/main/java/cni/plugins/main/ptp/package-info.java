// SPDX-License-Identifier: Apache-2.0
/** The ptp plugin: a veth pair whose host end has the gateway's address. */
@NullMarked
package cni.plugins.main.ptp;

import org.jspecify.annotations.NullMarked;
