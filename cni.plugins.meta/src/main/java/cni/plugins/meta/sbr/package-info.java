/** The sbr plugin: source-based routing. */
@NullMarked
package cni.plugins.meta.sbr;

import org.jspecify.annotations.NullMarked;
