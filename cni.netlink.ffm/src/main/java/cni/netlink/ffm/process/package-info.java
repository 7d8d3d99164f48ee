// SPDX-License-Identifier: Apache-2.0
/**
 * Child processes, their environment, the parent process, and the service manager: the sockets that
 * it passes to a process and the notifications that it receives.
 */
@NullMarked
package cni.netlink.ffm.process;

import org.jspecify.annotations.NullMarked;
