// SPDX-License-Identifier: Apache-2.0
/** A program that attaches a container to a network. */
module com.example.embedder {
  requires cni.embedded;
}
