/**
 * The execution protocol (SPEC section 2): an external executable seen as a {@link
 * cni.api.NetworkPlugin}.
 */
@NullMarked
package cni.exec;

import org.jspecify.annotations.NullMarked;
