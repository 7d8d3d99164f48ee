/** The bandwidth plugin: traffic shaping by token bucket filters. */
@NullMarked
package cni.plugins.meta.bandwidth;

import org.jspecify.annotations.NullMarked;
