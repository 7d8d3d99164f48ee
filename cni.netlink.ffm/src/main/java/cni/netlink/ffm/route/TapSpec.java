// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.route;

import cni.netlink.ffm.KernelException;
import cni.netlink.ffm.libc.Descriptor;
import cni.netlink.ffm.libc.Libc;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;

/**
 * A persistent tap device to be created: one that outlives the process that created it. Rtnetlink
 * cannot create tap devices; see linux/if_tun.h and tuntap.rst of the kernel's documentation.
 *
 * @param name the interface's name
 * @param multiQueue whether it may be opened several times, each time for a separate queue
 * @param owner the user id that may open it (TUNSETOWNER); empty if not to be set
 * @param group the group id that may open it (TUNSETGROUP); empty if not to be set
 */
public record TapSpec(String name, boolean multiQueue, OptionalInt owner, OptionalInt group) {
  private static final String CLONE_DEVICE = "/dev/net/tun";

  // _IOW('T', number, int) of linux/if_tun.h
  private static final long TUNSETIFF = 0x400454ca;
  private static final long TUNSETPERSIST = 0x400454cb;
  private static final long TUNSETOWNER = 0x400454cc;
  private static final long TUNSETGROUP = 0x400454ce;

  private static final int IFF_TAP = 0x0002;
  private static final int IFF_MULTI_QUEUE = 0x0100;
  private static final int IFF_NO_PI = 0x1000;
  private static final int IFF_VNET_HDR = 0x4000;
  private static final int IFF_TUN_EXCL = 0x8000;

  /** sizeof(struct ifreq) of linux/if.h: the name, then a union that contains the flags u16. */
  private static final int SIZEOF_IFREQ = 40;

  private static final int IFNAMSIZ = 16;

  /**
   * Creates the device in the network namespace of the calling thread, in state down.
   *
   * @throws KernelException EBUSY if the name is taken; ENOENT or ENODEV if the kernel does not
   *     support tap devices
   * @throws IllegalArgumentException if the name is longer than 15 bytes
   */
  public void create() throws KernelException {
    try (var descriptor = new Descriptor(Libc.open(CLONE_DEVICE, Libc.O_RDWR | Libc.O_CLOEXEC, 0));
        Arena arena = Arena.ofConfined()) {
      int fd = descriptor.fd();
      Libc.ioctl(fd, TUNSETIFF, ifreq(arena), "create tap \"" + name + "\"");
      if (owner.isPresent()) {
        Libc.ioctl(fd, TUNSETOWNER, owner.getAsInt(), "set the owner of " + name);
      }
      if (group.isPresent()) {
        Libc.ioctl(fd, TUNSETGROUP, group.getAsInt(), "set the group of " + name);
      }
      Libc.ioctl(fd, TUNSETPERSIST, 1, "keep " + name); // or it ends with the descriptor
    }
  }

  private MemorySegment ifreq(Arena arena) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    if (bytes.length >= IFNAMSIZ) {
      throw new IllegalArgumentException(
          "an interface's name cannot be longer than 15 bytes: " + name);
    }
    MemorySegment ifreq = arena.allocate(SIZEOF_IFREQ, 8);
    MemorySegment.copy(bytes, 0, ifreq, ValueLayout.JAVA_BYTE, 0, bytes.length);
    ifreq.set(ValueLayout.JAVA_SHORT, IFNAMSIZ, (short) flags());
    return ifreq;
  }

  /**
   * The flags of the reference plugin and of {@code ip tuntap}, which the reference plugin runs in
   * some cases. A program that opens the device later may change all of them but IFF_MULTI_QUEUE.
   */
  private int flags() {
    boolean owned = owner.isPresent() && group.isPresent();
    int queues = multiQueue ? IFF_MULTI_QUEUE | IFF_NO_PI : 0;
    return IFF_TAP | IFF_TUN_EXCL | queues | (owned ? IFF_VNET_HDR : IFF_NO_PI);
  }
}
