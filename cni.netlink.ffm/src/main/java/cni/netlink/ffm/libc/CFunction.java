package cni.netlink.ffm.libc;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.Set;

/**
 * A function of the C library that takes integers and pointers, six at most.
 *
 * <p>All of them are called by one method handle, with words for arguments and a word for the
 * result: for each signature of its own the JDK would spin classes, several milliseconds each, and
 * there are dozens. Integer arguments take a register each, whatever their width, and the callee
 * looks at as much of it as it declares; those that it does not declare it does not look at. Of a
 * result that is an {@code int} only the lower half has a meaning.
 *
 * @param address where it is
 */
@SuppressWarnings("restricted") // calling foreign functions is what this class is for
record CFunction(MemorySegment address) {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBC = LINKER.defaultLookup();

  /** Where an argument that is declared as "..." goes to the same register as any other. */
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

  static CFunction of(String name) {
    return new CFunction(LIBC.findOrThrow(name));
  }

  /** Absent if this C library has no such function. */
  static Optional<CFunction> find(String name) {
    return LIBC.find(name).map(CFunction::new);
  }

  /**
   * Calls it.
   *
   * @param state where errno is put
   * @throws Throwable what a method handle is declared to throw
   */
  long call(MemorySegment state, long a, long b, long c, long d, long e, long f) throws Throwable {
    return (long) CALL.invokeExact(address, state, a, b, c, d, e, f);
  }

  long call(MemorySegment state, long a, long b, long c) throws Throwable {
    return call(state, a, b, c, 0, 0, 0);
  }

  long call(MemorySegment state, long a, long b) throws Throwable {
    return call(state, a, b, 0);
  }

  long call(MemorySegment state, long a) throws Throwable {
    return call(state, a, 0);
  }
}
