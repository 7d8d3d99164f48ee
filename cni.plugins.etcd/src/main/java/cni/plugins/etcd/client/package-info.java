// SPDX-License-Identifier: Apache-2.0
/**
 * A client of etcd's JSON gateway, version 3 of its API (etcd documentation, "gRPC gateway"):
 * transactions, leases and watches, with several endpoints, TLS and passwords.
 */
@NullMarked
package cni.plugins.etcd.client;

import org.jspecify.annotations.NullMarked;
