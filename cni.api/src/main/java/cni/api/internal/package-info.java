/** Helpers that this project's own modules share: exported to them alone. */
@NullMarked
package cni.api.internal;

import org.jspecify.annotations.NullMarked;
