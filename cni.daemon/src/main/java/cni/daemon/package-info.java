/**
 * The resident host. {@link cni.daemon.HostServer} listens; {@link cni.daemon.HostProtocol} is what
 * callers and host say to each other; {@link cni.daemon.PluginService} runs plugins.
 */
@NullMarked
package cni.daemon;

import org.jspecify.annotations.NullMarked;
