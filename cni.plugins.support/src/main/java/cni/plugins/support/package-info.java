/**
 * What several plugins do to the namespaces of an attachment: open them, put a result's addresses
 * and routes on an interface, compare a result with what is there.
 */
@NullMarked
package cni.plugins.support;

import org.jspecify.annotations.NullMarked;
