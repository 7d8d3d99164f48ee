/** What the address management (IPAM) plugins share. */
@NullMarked
package cni.plugins.ipam;

import org.jspecify.annotations.NullMarked;
