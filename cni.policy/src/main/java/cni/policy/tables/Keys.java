// SPDX-License-Identifier: Apache-2.0
package cni.policy.tables;

import cni.netlink.ffm.nftables.Bytes;
import cni.policy.Protocol;
import java.io.ByteArrayOutputStream;

/** Encodes the keys of sets, field by field. */
final class Keys {
  private Keys() {}

  static Bytes join(Bytes... fields) {
    var joined = new ByteArrayOutputStream(40);
    for (Bytes field : fields) {
      joined.writeBytes(field.toArray());
    }
    return Bytes.of(joined.toByteArray());
  }

  static Bytes join(Bytes address, Protocol protocol, boolean isV4, int port) {
    return join(address, Bytes.of((byte) protocol.number(isV4)), Bytes.be16(port));
  }
}
