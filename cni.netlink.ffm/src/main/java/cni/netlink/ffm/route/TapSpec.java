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
 * A tap device to be created, which stays when its creator is gone (linux/if_tun.h, tuntap.rst of
 * the kernel's documentation). Rtnetlink cannot create one.
 *
 * @param name its name
 * @param multiQueue whether several programs may open it, each for a queue of its own
 * @param owner the user who may open it, absent for root alone
 * @param group the group that may open it
 */
public record TapSpec(String name, boolean multiQueue, OptionalInt owner, OptionalInt group) {
  private static final String CLONE_DEVICE = "/dev/net/tun";
  private static final int O_RDWR = 2;

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

  /** struct ifreq of linux/if.h: the name, then among others the flags. */
  private static final int SIZEOF_IFREQ = 40;

  private static final int IFNAMSIZ = 16;

  /**
   * Creates it in the network namespace of the calling thread. It is down.
   *
   * @throws KernelException EBUSY if the name is taken, ENOENT or ENODEV if the kernel has no tap
   *     devices
   */
  public void create() throws KernelException {
    try (var descriptor = new Descriptor(Libc.open(CLONE_DEVICE, O_RDWR | Libc.O_CLOEXEC, 0));
        Arena arena = Arena.ofConfined()) {
      int fd = descriptor.fd();
      String what = "create tap \"" + name + "\"";
      Libc.ioctl(fd, TUNSETIFF, ifreq(arena), what);
      if (owner.isPresent()) {
        Libc.ioctl(fd, TUNSETOWNER, owner.getAsInt(), "set the owner of " + name);
      }
      if (group.isPresent()) {
        Libc.ioctl(fd, TUNSETGROUP, group.getAsInt(), "set the group of " + name);
      }
      Libc.ioctl(fd, TUNSETPERSIST, 1, "keep " + name); // until then it goes with the descriptor
    }
  }

  private MemorySegment ifreq(Arena arena) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    if (bytes.length >= IFNAMSIZ) {
      throw new IllegalArgumentException("too long for an interface: " + name);
    }
    MemorySegment request = arena.allocate(SIZEOF_IFREQ, 8);
    MemorySegment.copy(bytes, 0, request, ValueLayout.JAVA_BYTE, 0, bytes.length);
    request.set(ValueLayout.JAVA_SHORT, IFNAMSIZ, (short) flags());
    return request;
  }

  /**
   * Those that the reference plugin and, where it leaves the work to that, {@code ip tuntap} set.
   * All but the number of queues are for whoever opens it next to change.
   */
  private int flags() {
    boolean owned = owner.isPresent() && group.isPresent();
    int queues = multiQueue ? IFF_MULTI_QUEUE | IFF_NO_PI : 0;
    return IFF_TAP | IFF_TUN_EXCL | queues | (owned ? IFF_VNET_HDR : IFF_NO_PI);
  }
}
