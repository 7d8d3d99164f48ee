// SPDX-License-Identifier: Apache-2.0
package cni.cli;

import cni.api.Cidr;
import cni.api.InetAddresses;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Chooses private subnets that overlap none of those in use. */
final class FreeSubnets {
  private static final int V4_PREFIX = 24;
  private static final int V6_PREFIX = 64;

  /** The prefix of unique local addresses that are assigned locally, RFC 4193, section 3.1. */
  private static final byte UNIQUE_LOCAL = (byte) 0xfd;

  private static final int GLOBAL_ID_BYTES = 5;
  private static final int V6_BYTES = 16;

  /**
   * What other software uses by default: Podman 10.88.0.0/16 and up, Kubernetes services
   * 10.96.0.0/12, Flannel 10.244.0.0/16, Docker 172.17.0.0/16.
   */
  private static final List<Cidr> AVOIDED =
      Stream.of("10.88.0.0/14", "10.96.0.0/12", "10.244.0.0/16", "172.17.0.0/16")
          .map(Cidr::parse)
          .toList();

  private final List<Cidr> used;
  private final SecureRandom random;

  /**
   * Creates a chooser.
   *
   * @param used networks that exist; default routes among them are ignored
   */
  FreeSubnets(Collection<Cidr> used) {
    this(used, new SecureRandom());
  }

  /** As the other constructor, with a source of IPv6 prefixes. */
  FreeSubnets(Collection<Cidr> used, SecureRandom random) {
    this.used = new ArrayList<>(used);
    this.used.removeIf(it -> it.prefix() == 0);
    this.random = random;
  }

  /** Returns a chooser for which further networks exist. */
  FreeSubnets with(Collection<Cidr> others) {
    List<Cidr> all = new ArrayList<>(used);
    all.addAll(others);
    return new FreeSubnets(all, random);
  }

  /**
   * Returns the first /24 of 10.N.0.0, 172.N.0.0 and 192.168.N.0 (RFC 1918) that is not in use and
   * that other software does not use by default; absent if there is none.
   */
  Optional<Cidr> v4() {
    return Stream.of(
            IntStream.range(1, 255).mapToObj("10.%d.0.0"::formatted),
            IntStream.range(16, 32).mapToObj("172.%d.0.0"::formatted),
            IntStream.range(1, 255).mapToObj("192.168.%d.0"::formatted))
        .flatMap(it -> it)
        .map(it -> new Cidr(InetAddresses.parse(it), V4_PREFIX))
        .filter(it -> isFree(it) && AVOIDED.stream().noneMatch(other -> overlap(other, it)))
        .findFirst();
  }

  /** Returns a /64 of unique local addresses with a random global id, RFC 4193, section 3.2.2. */
  Cidr v6() {
    Cidr subnet;
    do {
      byte[] id = new byte[GLOBAL_ID_BYTES];
      random.nextBytes(id);
      byte[] address = new byte[V6_BYTES];
      address[0] = UNIQUE_LOCAL;
      System.arraycopy(id, 0, address, 1, id.length);
      subnet = new Cidr(InetAddresses.of(address), V6_PREFIX);
    } while (!isFree(subnet));
    return subnet;
  }

  /** Returns what a subnet overlaps of those in use. */
  Optional<Cidr> conflict(Cidr subnet) {
    return used.stream().filter(it -> overlap(it, subnet)).findFirst();
  }

  private boolean isFree(Cidr subnet) {
    return conflict(subnet).isEmpty();
  }

  private static boolean overlap(Cidr a, Cidr b) {
    return a.isV4() == b.isV4() && (a.contains(b.address()) || b.contains(a.address()));
  }
}
