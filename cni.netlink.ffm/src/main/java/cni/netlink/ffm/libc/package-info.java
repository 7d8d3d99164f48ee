/** The functions of the C library that this module calls. Not exported. */
@NullMarked
package cni.netlink.ffm.libc;

import org.jspecify.annotations.NullMarked;
