package cni.netlink.ffm;

/** The C library as a whole. */
public final class CLibrary {
  private CLibrary() {}

  /**
   * Links the functions that this module needs. They are linked when they are needed, too; but that
   * is the longest part of a process's first operation, and this is for a process that has a thread
   * to spare meanwhile. A failure is told to whoever calls a function.
   */
  public static void link() {
    try {
      NetNs.own(); // takes a path, and gives a structure
    } catch (KernelException | LinkageError e) {
      return; // Libc stays unusable, and says so
    }
  }
}
