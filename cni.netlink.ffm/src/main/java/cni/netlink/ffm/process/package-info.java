/**
 * Child processes, their environment, the parent process, and the socket that systemd passes to a
 * process.
 */
@NullMarked
package cni.netlink.ffm.process;

import org.jspecify.annotations.NullMarked;
