// SPDX-License-Identifier: Apache-2.0
/** The files that people write policies in. {@link PolicyReader} is the entry. */
@NullMarked
package cni.policy.file;

import org.jspecify.annotations.NullMarked;
