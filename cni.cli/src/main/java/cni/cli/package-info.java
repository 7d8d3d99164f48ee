/** The {@code cni} command. */
@NullMarked
package cni.cli;

import org.jspecify.annotations.NullMarked;
