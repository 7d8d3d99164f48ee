package cni.sandbox;

import java.util.concurrent.ThreadLocalRandom;

/** Names for interfaces on the host. */
public final class InterfaceNames {
  private InterfaceNames() {}

  /**
   * A name that is most likely free, of the form that the reference plugins give: {@code veth} and
   * eight hexadecimal digits.
   */
  public static String randomVeth() {
    return "veth%08x".formatted(ThreadLocalRandom.current().nextInt());
  }
}
