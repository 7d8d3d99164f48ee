// SPDX-License-Identifier: Apache-2.0
/**
 * The resident host. {@link cni.daemon.HostServer} listens; {@link cni.daemon.HostProtocol} is the
 * protocol of callers and host; {@link cni.daemon.PluginService} runs plugins.
 */
@NullMarked
package cni.daemon;

import org.jspecify.annotations.NullMarked;
