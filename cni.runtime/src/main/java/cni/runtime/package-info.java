/** What a program embeds to attach containers to networks: {@link cni.runtime.Cni} is the door. */
@NullMarked
package cni.runtime;

import org.jspecify.annotations.NullMarked;
