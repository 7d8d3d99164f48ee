/** Child processes, their environment, and the socket that systemd passes to a process. */
@NullMarked
package cni.netlink.ffm.process;

import org.jspecify.annotations.NullMarked;
