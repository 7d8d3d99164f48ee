/** The ptp plugin: a veth pair whose host end has the gateway's address. */
@NullMarked
package cni.plugins.main.ptp;

import org.jspecify.annotations.NullMarked;
