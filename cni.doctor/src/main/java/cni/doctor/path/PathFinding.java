// SPDX-License-Identifier: Apache-2.0
package cni.doctor.path;

/**
 * What stops a packet.
 *
 * @param cause the kind of obstacle
 * @param text what and where it is
 * @param remedy what would let the packet through; empty if that is not known
 */
public record PathFinding(PathCause cause, String text, String remedy) {}
