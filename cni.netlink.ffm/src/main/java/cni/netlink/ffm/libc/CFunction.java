// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm.libc;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import cni.netlink.ffm.Errno;
import cni.netlink.ffm.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.Set;

/**
 * A function of the C library with at most six integer or pointer parameters.
 *
 * <p>All functions share one method handle, which passes six 64-bit words and returns one: for each
 * distinct signature the JDK generates classes, which costs several milliseconds at start-up, and
 * there are dozens of signatures. The C calling conventions of 64-bit Linux allow it: each integer
 * or pointer argument has its own register, whatever its width, and a function reads only the
 * registers, and of them only the bits, that it declares. Unused arguments are passed as 0.
 *
 * @param address the entry point
 * @param returnsInt whether the function returns an {@code int}, so that only the lower half of the
 *     result register is defined; otherwise it returns a {@code long} or a pointer
 */
@SuppressWarnings("restricted") // calling foreign functions is the purpose of this class
record CFunction(MemorySegment address, boolean returnsInt) {
  /** What a call needs to capture errno; on Linux it has no other member. */
  static final StructLayout ERRNO = Linker.Option.captureStateLayout();

  /** The result of {@link #invokeNonBlocking} if there is nothing to do now. */
  static final long WOULD_BLOCK = -1;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBC = LINKER.defaultLookup();

  /** Architectures on which a variadic integer argument is passed as any other argument. */
  private static final Set<String> REGISTER_VARIADIC = Set.of("amd64", "aarch64", "riscv64");

  private static final FunctionDescriptor SIX_WORDS_TO_WORD =
      FunctionDescriptor.of(
          JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);

  private static final MethodHandle CALL = createHandle();

  private static MethodHandle createHandle() {
    Linker.Option errno = Linker.Option.captureCallState("errno");
    return REGISTER_VARIADIC.contains(System.getProperty("os.arch"))
        ? LINKER.downcallHandle(SIX_WORDS_TO_WORD, errno)
        : LINKER.downcallHandle(SIX_WORDS_TO_WORD, errno, Linker.Option.firstVariadicArg(1));
  }

  /** Looks up a function that returns an {@code int}. */
  static CFunction returningInt(String name) {
    return new CFunction(LIBC.findOrThrow(name), true);
  }

  /** Looks up a function that returns a {@code long}, a {@code ssize_t} or a pointer. */
  static CFunction returningLong(String name) {
    return new CFunction(LIBC.findOrThrow(name), false);
  }

  /** Looks up a function that returns an {@code int}; empty if this C library does not have it. */
  static Optional<CFunction> find(String name) {
    Optional<MemorySegment> address = LIBC.find(name);
    return address.isEmpty() ? Optional.empty() : Optional.of(new CFunction(address.get(), true));
  }

  /**
   * Returns the address of a segment, to be passed as a pointer. The caller keeps the segment alive
   * until the function has returned.
   *
   * @throws IllegalArgumentException if the segment is on the Java heap: its address is an offset
   *     into an array, which C would take for a pointer
   */
  static long pointer(MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("a heap segment has no address that C can use");
    }
    return segment.address();
  }

  /** Returns the errno that the last call with this segment has captured. */
  static int errno(MemorySegment captured) {
    return captured.get(JAVA_INT, 0);
  }

  /**
   * Calls the function and returns its result, whether or not that means an error.
   *
   * @param errno a segment of layout {@link #ERRNO}, which receives errno
   */
  long call(MemorySegment errno, long a, long b, long c, long d, long e, long f) {
    long result;
    try {
      result = (long) CALL.invokeExact(address, errno, a, b, c, d, e, f);
    } catch (Throwable t) { // a downcall itself throws no exception
      throw t instanceof Error error ? error : new AssertionError(t);
    }
    return returnsInt ? (int) result : result;
  }

  long call(MemorySegment errno, long a, long b, long c) {
    return call(errno, a, b, c, 0, 0, 0);
  }

  /**
   * Calls a function that returns a negative number if it fails.
   *
   * @param arena allocates the segment for errno; a caller that has an arena passes it, so that no
   *     other one is created
   * @param operation the beginning of the message of the exception @return the result, zero or
   *     positive
   * @throws KernelException with the errno of this very call, if the result is negative
   */
  long invoke(Arena arena, String operation, long a, long b, long c, long d, long e, long f)
      throws KernelException {
    MemorySegment errno = arena.allocate(ERRNO);
    long result = call(errno, a, b, c, d, e, f);
    if (result < 0) {
      throw new KernelException(errno(errno), operation);
    }
    return result;
  }

  /**
   * Calls a function of a non-blocking descriptor, again after a signal.
   *
   * @return its result; {@link #WOULD_BLOCK} if it fails with EAGAIN, which is a usual result and
   *     throws no exception: that would cost more than the call
   * @throws KernelException with any other errno
   */
  long invokeNonBlocking(Arena arena, String operation, long a, long b, long c, long d)
      throws KernelException {
    MemorySegment errno = arena.allocate(ERRNO);
    while (true) {
      long result = call(errno, a, b, c, d, 0, 0);
      if (result >= 0) {
        return result;
      }
      switch (errno(errno)) {
        case Errno.EINTR -> {}
        case Errno.EAGAIN -> {
          return WOULD_BLOCK;
        }
        default -> throw new KernelException(errno(errno), operation);
      }
    }
  }

  long invoke(Arena arena, String operation, long a, long b, long c) throws KernelException {
    return invoke(arena, operation, a, b, c, 0, 0, 0);
  }

  /** As the other {@code invoke}, for a call whose arguments need no arena. */
  long invoke(String operation, long a, long b, long c, long d, long e, long f)
      throws KernelException {
    try (Arena arena = Arena.ofConfined()) {
      return invoke(arena, operation, a, b, c, d, e, f);
    }
  }

  long invoke(String operation, long a, long b, long c) throws KernelException {
    return invoke(operation, a, b, c, 0, 0, 0);
  }

  long invoke(String operation, long a, long b) throws KernelException {
    return invoke(operation, a, b, 0);
  }

  long invoke(String operation, long a) throws KernelException {
    return invoke(operation, a, 0);
  }
}
