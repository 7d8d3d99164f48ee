// SPDX-License-Identifier: Apache-2.0
package cni.api;

import java.util.Optional;

/**
 * An ipam plugin that can list the addresses that it has assigned, for an operator: {@code cni ipam
 * show}.
 */
public interface AddressRegistry extends NetworkPlugin {
  /**
   * Lists the network's addresses. Changes nothing.
   *
   * @throws CniException code 7 if the configuration is invalid, code 5 or 11 if the addresses
   *     cannot be read
   */
  AddressReport report(NetworkRequest request) throws CniException;

  @Override
  default Optional<AddressRegistry> addressRegistry() {
    return Optional.of(this);
  }
}
