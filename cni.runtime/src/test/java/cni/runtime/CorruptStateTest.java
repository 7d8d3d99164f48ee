// SPDX-License-Identifier: Apache-2.0
package cni.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.NetworkConfig;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every verb with every state file of the runtime in every bad state: it ends by its deadline with
 * success or a {@link CniException}, GC then leaves nothing, and a later ADD and DEL work.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CorruptStateTest {
  private static final Duration DEADLINE = Duration.ofSeconds(5);

  private static final Attachment ATTACHMENT =
      Attachment.of("c1", Path.of("/run/netns/c1"), "eth0");

  private static final int IO = 5;
  private static final int DECODING = 6;
  private static final int NOT_AVAILABLE = 50;
  private static final int AS_CONFIGURED = 107;

  /** What no file of the runtime contains. */
  private static final String MARK = "content of a file elsewhere";

  private Path directory;
  private Path cache;
  private Path elsewhere;
  private Cni cni;
  private Network network;
  private Network failingNetwork;
  private final ExecutorService threads =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().factory());

  /** A state file, by its path in the cache directory. */
  enum State {
    RESULT("results/n-c1-eth0"),
    JOURNAL_ENTRY("begun/n-c1-eth0"),
    ENTRY_LOCK("locks/entry/n"),
    STAY_LOCK("locks/stay/n"),
    TEMPORARY_FILE("unfinished/n/0123456789abcdef"),
    RECYCLED_FILE("unfinished/spare.1-1-0123456789abcdef.1"),
    RESULTS("results"),
    JOURNAL("begun"),
    TEMPORARY_FILES("unfinished");

    private final String path;

    State(String path) {
      this.path = path;
    }

    boolean isLock() {
      return this == ENTRY_LOCK || this == STAY_LOCK;
    }

    boolean isDirectory() {
      return this == RESULTS || this == JOURNAL || this == TEMPORARY_FILES;
    }
  }

  enum Fault {
    EMPTY,
    GARBAGE,
    TRUNCATED,
    HUGE,
    FIFO,
    DIRECTORY,
    FULL_DIRECTORY,
    DANGLING_LINK,
    LINK,
    NUL_BYTES,
    OTHER_OWNER;

    boolean isRegularFile() {
      return switch (this) {
        case EMPTY, GARBAGE, TRUNCATED, HUGE, NUL_BYTES, OTHER_OWNER -> true;
        case FIFO, DIRECTORY, FULL_DIRECTORY, DANGLING_LINK, LINK -> false;
      };
    }
  }

  enum Operation {
    ADD,
    FAILING_ADD,
    CHECK,
    DEL,
    GC,
    STATUS,
    LIST
  }

  static List<Arguments> combinations() {
    return Arrays.stream(State.values())
        .flatMap(
            state ->
                Arrays.stream(Fault.values())
                    .filter(fault -> !state.isDirectory() || !fault.name().endsWith("DIRECTORY"))
                    .map(fault -> Arguments.of(state, fault)))
        .toList();
  }

  @BeforeAll
  void open(@TempDir Path temporary) throws Exception {
    directory = temporary;
    cache = directory.resolve("cache");
    elsewhere = Files.writeString(directory.resolve("elsewhere"), MARK);
    cni =
        Cni.builder()
            .executables()
            .pluginDirectories()
            .cache(cache)
            .timeout(Duration.ofSeconds(2))
            .oneShot()
            .build();
    network = network("");
    failingNetwork = network(", \"ADD\": \"fail\"");
  }

  private Network network(String more) throws CniException {
    String config =
        """
        { "cniVersion": "1.1.0", "name": "n",
          "plugins": [ { "type": "first" }, { "type": "second"%s } ] }
        """
            .formatted(more);
    return cni.network(NetworkConfig.parse(config.getBytes(UTF_8), "test"));
  }

  @AfterAll
  void close() {
    cni.close();
  }

  private void plant(State state, Fault fault) throws Exception {
    Path file = cache.resolve(state.path);
    Files.createDirectories(file.getParent());
    switch (fault) {
      case EMPTY -> Files.createFile(file);
      case GARBAGE -> Files.writeString(file, "\u0001}{][ no JSON \uffff");
      case TRUNCATED ->
          Files.writeString(file, "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"conf");
      case HUGE -> {
        try (var content = new RandomAccessFile(file.toFile(), "rw")) {
          content.setLength(1L << 40); // sparse
        }
      }
      case FIFO -> run("mkfifo", file.toString());
      case DIRECTORY -> Files.createDirectory(file);
      case FULL_DIRECTORY -> Files.createFile(Files.createDirectory(file).resolve("file"));
      case DANGLING_LINK -> Files.createSymbolicLink(file, directory.resolve("nowhere"));
      case LINK -> Files.createSymbolicLink(file, elsewhere);
      case NUL_BYTES -> Files.write(file, new byte[8192]);
      case OTHER_OWNER -> {
        Files.writeString(file, "");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("---------"));
        if (isRoot()) {
          Files.setAttribute(file, "unix:uid", 65534);
        }
      }
    }
    makeOld(file, fault);
  }

  /** GC waits for a second for a younger file, which may be being written. */
  private static void makeOld(Path file, Fault fault) throws Exception {
    if (fault.isRegularFile()) {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now().minusSeconds(10)));
    } else { // Java would open a FIFO, which blocks, and follow a link
      run("touch", "--no-dereference", "--date=10 seconds ago", file.toString());
    }
  }

  private static void run(String... command) throws Exception {
    assertEquals(0, new ProcessBuilder(command).start().waitFor());
  }

  private static boolean isRoot() throws IOException {
    return (Integer) Files.getAttribute(Path.of("/proc/self/"), "unix:uid") == 0;
  }

  /** Runs an operation; returns its error code, 0 if it succeeds. */
  private int run(Operation operation) throws Exception {
    Future<Integer> code = threads.submit(() -> codeOf(operation));
    try {
      return code.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      throw new AssertionError(operation + " hangs", e);
    }
  }

  private int codeOf(Operation operation) {
    try {
      switch (operation) {
        case ADD -> network.add(ATTACHMENT);
        case FAILING_ADD -> failingNetwork.add(ATTACHMENT);
        case CHECK -> network.check(ATTACHMENT);
        case DEL -> network.delete(ATTACHMENT);
        case GC -> network.gc(Set.of());
        case STATUS -> network.status();
        case LIST -> assertEquals(List.of(), cni.attachments());
      }
      return 0;
    } catch (CniException e) {
      assertTrue(e.getMessage().length() < 1000, e::getMessage);
      return e.code();
    }
  }

  private Set<String> left() throws IOException {
    try (Stream<Path> all = Files.walk(cache)) {
      return new TreeSet<>(
          all.filter(it -> !Files.isDirectory(it, LinkOption.NOFOLLOW_LINKS))
              .map(it -> cache.relativize(it).toString())
              .filter(it -> !it.startsWith("locks/"))
              .toList());
    }
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void everyVerbEndsAndGcLeavesNothing(State state, Fault fault) throws Exception {
    assumeTrue(fault != Fault.OTHER_OWNER || isRoot(), "a user cannot give files away");
    for (Operation operation : Operation.values()) {
      FakePlugin.CALLS.clear();
      plant(state, fault);
      int code = run(operation);
      assertEquals(expected(state, fault, operation), code, operation::toString);
      if (operation == Operation.FAILING_ADD && code == AS_CONFIGURED) {
        assertEquals("DEL first [first]", FakePlugin.CALLS.getLast()); // it is rolled back
      }
      assertEquals(MARK, Files.readString(elsewhere));
      assertTrue(Files.notExists(directory.resolve("nowhere")), "a dangling link was followed");
      if (isLeftToTheOperator(state, fault)) {
        delete(cache.resolve(state.path));
      }
      assertEquals(0, run(Operation.GC));
      assertEquals(Set.of(), left(), operation::toString);
      for (Operation later : List.of(Operation.ADD, Operation.CHECK, Operation.DEL)) {
        assertEquals(0, run(later), () -> later + " after " + operation);
      }
      deleteAll(cache);
    }
  }

  private static void deleteAll(Path top) throws IOException {
    List<Path> all;
    try (Stream<Path> found = Files.walk(top)) {
      all = found.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path file : all) {
      Files.delete(file);
    }
  }

  /** Returns whether the runtime does not remove a file: it may be somebody's, not a torn one. */
  private static boolean isLeftToTheOperator(State state, Fault fault) {
    return state.isDirectory()
        || (state.isLock() && !fault.isRegularFile())
        || fault == Fault.FULL_DIRECTORY;
  }

  private static void delete(Path file) throws IOException {
    if (Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) {
      Files.deleteIfExists(file.resolve("file"));
    }
    Files.deleteIfExists(file);
  }

  /** Returns the error code of an operation. */
  private static int expected(State state, Fault fault, Operation operation) {
    if (operation == Operation.LIST || operation == Operation.DEL) {
      return 0;
    }
    if (operation == Operation.CHECK) {
      return state == State.RESULT ? DECODING : 0;
    }
    boolean unusable =
        (state.isLock() && !fault.isRegularFile())
            || (fault == Fault.FULL_DIRECTORY
                && (state == State.RESULT || state == State.JOURNAL_ENTRY))
            || state == State.JOURNAL;
    return switch (operation) {
      case ADD -> unusable || state.isDirectory() ? IO : 0;
      case FAILING_ADD -> unusable ? IO : AS_CONFIGURED;
      case STATUS -> state == State.RESULTS || state == State.TEMPORARY_FILES ? NOT_AVAILABLE : 0;
      case GC -> state.isLock() && !fault.isRegularFile() ? IO : 0;
      default -> 0;
    };
  }
}
