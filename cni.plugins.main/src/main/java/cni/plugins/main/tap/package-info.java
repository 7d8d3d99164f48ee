/** The tap plugin. */
@NullMarked
package cni.plugins.main.tap;

import org.jspecify.annotations.NullMarked;
