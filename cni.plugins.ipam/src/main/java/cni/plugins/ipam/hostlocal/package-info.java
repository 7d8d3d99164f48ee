/** The host-local plugin: addresses of ranges, reserved in a directory of this host. */
@NullMarked
package cni.plugins.ipam.hostlocal;

import org.jspecify.annotations.NullMarked;
