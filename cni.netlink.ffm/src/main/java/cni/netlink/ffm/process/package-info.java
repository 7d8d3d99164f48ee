/** Child processes, and sockets that the service manager passes on. */
@NullMarked
package cni.netlink.ffm.process;

import org.jspecify.annotations.NullMarked;
