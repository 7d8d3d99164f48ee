/** The debug plugin: records calls and runs hooks. */
@NullMarked
package cni.plugins.meta.debug;

import org.jspecify.annotations.NullMarked;
