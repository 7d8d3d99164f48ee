// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.Dns;
import cni.api.InetAddresses;
import cni.api.Result;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a server's message, ADVERTISE or REPLY, says about the addresses of the identity association
 * (RFC 8415, section 18.2.10).
 *
 * @param message the message
 */
record Dhcpv6Reply(Dhcpv6Message message) {
  /** The size of IAID, T1 and T2. */
  static final int IA_NA_HEADER = 12;

  /** The size of address, preferred and valid lifetime. */
  static final int IA_ADDRESS_HEADER = 24;

  /**
   * Returns the addresses that the server grants or offers, and how long they are valid.
   *
   * @throws LeaseRefusedException if there are none
   */
  Binding binding() throws LeaseRefusedException {
    requireSuccess(message.options());
    Dhcpv6Message.Option association =
        message
            .find(Dhcpv6Message.IA_NA)
            .filter(option -> option.value().length >= IA_NA_HEADER)
            .orElseThrow(
                () -> new LeaseRefusedException("the server's reply has no addresses (IA_NA)"));
    List<Dhcpv6Message.Option> inner = association.inner(IA_NA_HEADER);
    requireSuccess(inner);
    List<Result.IpConfig> ips = new ArrayList<>();
    long preferred = Binding.FOREVER;
    long valid = Binding.FOREVER;
    for (Dhcpv6Message.Option option : inner) {
      if (option.code() != Dhcpv6Message.IA_ADDRESS || option.value().length < IA_ADDRESS_HEADER) {
        continue;
      }
      ByteBuffer value = ByteBuffer.wrap(option.value());
      byte[] address = new byte[16];
      value.get(address);
      long preferredLifetime = Integer.toUnsignedLong(value.getInt());
      long validLifetime = Integer.toUnsignedLong(value.getInt());
      if (validLifetime > 0) { // 0 withdraws the address
        preferred = Math.min(preferred, preferredLifetime);
        valid = Math.min(valid, validLifetime);
        var cidr = Cidr.ofHost(InetAddresses.of(address));
        ips.add(new Result.IpConfig(cidr, Optional.empty(), OptionalInt.empty()));
      }
    }
    if (ips.isEmpty()) {
      throw new LeaseRefusedException("the server granted no address");
    }
    ByteBuffer head = ByteBuffer.wrap(association.value());
    long t1 = Integer.toUnsignedLong(head.getInt(4));
    long t2 = Integer.toUnsignedLong(head.getInt(8));
    // T1 and T2 of 0 leave the choice to the client (RFC 8415, section 14.2).
    return Binding.of(
        new Result(List.of(), ips, List.of(), dns()),
        message.serverDuid(),
        t1 == 0 ? preferred / 2 : t1,
        t2 == 0 ? preferred * 4 / 5 : t2,
        valid);
  }

  /**
   * Evaluates this as the reply to a renewal. Only NoBinding or a withdrawn address ends the lease;
   * after any other refusal the addresses remain valid until they expire (RFC 8415, section
   * 18.2.10.1).
   *
   * @return absent if the lease is not renewed but remains valid
   * @throws LeaseRefusedException if the lease has ended
   */
  Optional<Binding> renewedBinding(Binding binding) throws LeaseRefusedException {
    List<Dhcpv6Message.Option> inner =
        message.find(Dhcpv6Message.IA_NA).map(it -> it.inner(IA_NA_HEADER)).orElse(List.of());
    boolean noBinding = Dhcpv6Message.status(inner) == Dhcpv6Message.NO_BINDING;
    try {
      Binding renewed = binding();
      return renewed.addresses().containsAll(binding.addresses())
          ? Optional.of(renewed)
          : Optional.empty();
    } catch (LeaseRefusedException e) {
      boolean withdrawn = inner.stream().anyMatch(it -> it.code() == Dhcpv6Message.IA_ADDRESS);
      if (noBinding || withdrawn) {
        throw e;
      }
      return Optional.empty();
    }
  }

  private static void requireSuccess(List<Dhcpv6Message.Option> options)
      throws LeaseRefusedException {
    int status = Dhcpv6Message.status(options);
    if (status != 0) {
      throw new LeaseRefusedException(
          switch (status) {
            case Dhcpv6Message.NO_ADDRS_AVAIL -> "the server has no addresses left (NoAddrsAvail)";
            case Dhcpv6Message.NO_BINDING -> "the server has no record of the lease (NoBinding)";
            default -> "the server refused with status " + status;
          });
    }
  }

  private Dns dns() {
    List<String> servers = new ArrayList<>();
    byte[] value =
        message.find(Dhcpv6Message.DNS_SERVERS).map(it -> it.value()).orElse(new byte[0]);
    for (int at = 0; at + 16 <= value.length; at += 16) {
      servers.add(InetAddresses.format(InetAddresses.of(Arrays.copyOfRange(value, at, at + 16))));
    }
    return new Dns(servers, "", domains(), List.of());
  }

  /** Decodes domain names in uncompressed DNS encoding (RFC 8415, section 10). */
  private List<String> domains() {
    byte[] value =
        message.find(Dhcpv6Message.DOMAIN_LIST).map(it -> it.value()).orElse(new byte[0]);
    List<String> names = new ArrayList<>();
    List<String> labels = new ArrayList<>();
    int at = 0;
    while (at < value.length) {
      int length = Byte.toUnsignedInt(value[at++]);
      if (length == 0) {
        names.add(String.join(".", labels));
        labels.clear();
      } else if (at + length > value.length) {
        break;
      } else {
        labels.add(new String(value, at, length, StandardCharsets.US_ASCII));
        at += length;
      }
    }
    return names;
  }
}
