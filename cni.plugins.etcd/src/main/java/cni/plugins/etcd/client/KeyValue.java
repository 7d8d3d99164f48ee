// SPDX-License-Identifier: Apache-2.0
package cni.plugins.etcd.client;

/**
 * A key with its value.
 *
 * @param key the key
 * @param value the value; the empty string if only keys were read
 * @param modRevision the revision at which the key was last written
 */
public record KeyValue(String key, String value, long modRevision) {}
