/** The bridge plugin: a container's interface as a port of a bridge on the host. */
@NullMarked
package cni.plugins.bridge;

import org.jspecify.annotations.NullMarked;
