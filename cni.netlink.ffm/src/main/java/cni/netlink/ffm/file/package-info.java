// SPDX-License-Identifier: Apache-2.0
/** Files with a special meaning to the kernel: flock(2), inotify(7) and sysctls. */
@NullMarked
package cni.netlink.ffm.file;

import org.jspecify.annotations.NullMarked;
