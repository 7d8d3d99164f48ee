// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import static cni.embedder.PluginCompiler.sourceAnswering;
import static cni.embedder.PluginCompiler.sourceOf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.api.PluginEvent;
import cni.runtime.Cni;
import cni.runtime.PluginRegistry;
import cni.runtime.PluginSource;
import java.lang.ref.WeakReference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Plugin directories of a running host; runs on the class path and on the module path. */
class PluginDirectoriesTest extends PluginDirectoryTestBase {
  private String add(Cni host, String container) throws CniException {
    var attachment = Attachment.of(container, Path.of("/run/netns/none"), "eth0");
    String domain = host.network("n").add(attachment).dns().domain();
    host.network("n").delete(attachment);
    return domain;
  }

  private CniException failure() {
    return assertThrows(CniException.class, () -> add(cni, "c"));
  }

  @Test
  void pluginAddedToARunningHostIsUsed() throws Exception {
    network("demo");
    String message = failure().getMessage();
    assertTrue(message.contains("no module for it in " + root + ";"), message);
    deploy("demo", sourceAnswering("demo", "one"));
    assertEquals("one", add(cni, "c"));
    PluginRegistry.AvailablePlugin it = cni.plugins().list().getFirst();
    assertEquals("module demo@1 in " + root.resolve("demo"), it.origin().toString());
    Files.delete(root.resolve("demo"));
    assertEquals(7, failure().code());
  }

  @Test
  void newVersionIsUsedAndTheOldClassLoaderIsCollected() throws Exception {
    network("demo");
    String remember =
        "{ System.getProperties().putIfAbsent(\"cni.test.loader\","
            + " new java.lang.ref.WeakReference<>(Demo.class.getClassLoader())); }";
    deploy("demo", sourceOf("demo", "return \"one\";", remember));
    assertEquals("one", add(cni, "c"));
    var loader =
        (WeakReference<?>) Objects.requireNonNull(System.getProperties().get("cni.test.loader"));
    deploy("demo", sourceAnswering("demo", "two"));
    assertEquals("two", add(cni, "c"));
    for (int i = 0; i < 100 && loader.get() != null; i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertNull(loader.get(), "the class loader of the old version is still held");
  }

  @Test
  void replacementUnderLoadFailsNoCall() throws Exception {
    network("demo");
    // The second word comes from a class that is loaded in the middle of the call.
    Path[] versions = new Path[8];
    for (int i = 0; i < versions.length; i++) {
      String add =
          "try { Thread.sleep(3); } catch (InterruptedException e) { throw new"
              + " IllegalStateException(e); } return \"v%d \" + Later.word();".formatted(i);
      String later = "static class Later { static String word() { return \"v%d\"; } }".formatted(i);
      versions[i] = compiler.compilePlugin(String.valueOf(i), sourceOf("demo", add, later));
    }
    PluginCompiler.deploy(versions[0], root.resolve("demo"));
    var end = new AtomicBoolean();
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Future<Integer>> loads =
          IntStream.range(0, 8).mapToObj(i -> threads.submit(load("c" + i, end))).toList();
      for (int i = 0; i < 40; i++) {
        PluginCompiler.deploy(versions[i % versions.length], root.resolve("demo"));
        Thread.sleep(25);
      }
      end.set(true);
      int seen = 0;
      for (Future<Integer> load : loads) {
        seen += load.get();
      }
      assertTrue(seen > 8, "changes of version that were seen: " + seen);
    }
  }

  /** Adds and deletes in a loop, and counts the changes of version that it sees. */
  private Callable<Integer> load(String container, AtomicBoolean end) {
    return () -> {
      int changes = 0;
      String last = "";
      while (!end.get()) {
        String words = add(cni, container);
        assertEquals(words.split(" ", -1)[0], words.split(" ", -1)[1], "half of another version");
        changes += words.equals(last) ? 0 : 1;
        last = words;
      }
      return changes;
    };
  }

  @Test
  void pluginsWithConflictingLibrariesShareAChain() throws Exception {
    for (String version : List.of("1", "2")) {
      Path made = Files.createTempDirectory(workshop, "library");
      compiler.compileJar(
          made,
          "0." + version,
          Map.of(
              "module-info.java",
              "module library { exports library; }",
              "Library.java",
              "package library; public class Library { public static String version() { return \""
                  + version
                  + "\"; } }"));
      compiler.compileJar(
          made,
          version,
          Map.of(
              "module-info.java",
              PluginCompiler.MODULE.replace(
                  "requires cni.api;", "requires cni.api; requires library;"),
              "Demo.java",
              sourceOf("demo" + version, "return library.Library.version();", "")));
      PluginCompiler.deploy(made, root.resolve("demo" + version));
    }
    network("demo1", "demo2");
    assertEquals("1 2", add(cni, "c"));
  }

  @Test
  void hostDefinesTheSearchOrder() throws Exception {
    network("first"); // which the test's class path provides as well, in package cni.runtime
    deploy("first", sourceAnswering("first", "directory"));
    Path other = Files.createDirectory(workshop.resolve("other"));
    PluginCompiler.deploy(
        compiler.compilePlugin("2", sourceAnswering("first", "other")), other.resolve("first"));
    Path executables = Files.createDirectory(workshop.resolve("bin"));
    try (Cni host =
        builder()
            .pluginDirectories(other, root)
            .searchOrder(PluginSource.DIRECTORY, PluginSource.BUILT_IN)
            .build()) {
      assertEquals("other", add(host, "c"));
      List<String> origins =
          host.plugins().list().stream()
              .filter(it -> it.type().equals("first"))
              .map(it -> it.origin().toString())
              .toList();
      assertTrue(origins.get(0).endsWith(other + "/first"), origins::toString);
      assertTrue(origins.get(1).endsWith(root + "/first"), origins::toString);
    }
    try (Cni host =
        builder().executables(executables).forceSource(PluginSource.EXECUTABLE, "first").build()) {
      CniException e = assertThrows(CniException.class, () -> add(host, "c"));
      assertTrue(e.getMessage().contains(executables.toString()), e::getMessage);
    }
  }

  @Test
  void residentPluginStartsAndStopsWithItsVersion() throws Exception {
    network("demo");
    deploy("demo", resident("one"));
    var events = new LinkedBlockingQueue<PluginEvent>();
    cni.onEvent(
        event -> {
          if (event.kind() == PluginEvent.Kind.OTHER) {
            events.add(event);
          }
        });
    assertEquals("one", add(cni, "c"));
    assertEquals("one starts", next(events));
    deploy("demo", resident("two"));
    assertEquals("two", add(cni, "c"));
    assertEquals(
        List.of("one stops", "two starts"),
        Stream.of(next(events), next(events)).sorted().toList());
  }

  @Test
  void residentPluginPresentBeforeTheHostIsStartedOnce() throws Exception {
    String counting = resident("one").replace("publish(\"one", "count(\"one");
    deploy("demo", counting.replace("private void publish", COUNT + "private void publish"));
    try (Cni host = builder().build()) {
      assertEquals(
          1, host.plugins().list().stream().filter(it -> it.type().equals("demo")).count());
      assertEquals("one starts;", System.getProperty("cni.test.published"));
    }
    assertEquals("one starts;one stops;", System.getProperty("cni.test.published"));
    try (Cni oneShot = builder().oneShot().build()) {
      oneShot.plugins().find("demo");
    }
    assertEquals("one starts;one stops;", System.getProperty("cni.test.published"));
  }

  private static final String COUNT =
      "private void count(String what) {"
          + " System.getProperties().merge(\"cni.test.published\", what + \";\", (a, b) -> a + \"\" + b); }\n";

  private static String next(LinkedBlockingQueue<PluginEvent> events) throws InterruptedException {
    PluginEvent event = events.poll(10, TimeUnit.SECONDS);
    return event == null ? "nothing" : event.message();
  }

  private static String resident(String version) {
    return sourceOf(
            "demo",
            "return \"" + version + "\";",
            """
            private PluginHost host;
            public void start(PluginHost given) { host = given; publish("%s starts"); }
            public void stop() { publish("%s stops"); }
            private void publish(String what) {
              host.publish(PluginEvent.now(PluginEvent.Kind.OTHER, type(), "", Optional.empty(), what));
            }
            """
                .formatted(version, version))
        .replace("implements NetworkPlugin", "implements ResidentPlugin");
  }

  @Test
  void interruptWhileLoadingDoesNotDisableThePlugin() throws Exception {
    network("demo");
    deploy("demo", sourceAnswering("demo", "one"));
    Thread.currentThread().interrupt();
    assertEquals("demo", cni.plugins().find("demo").type());
    assertTrue(Thread.interrupted(), "the interrupt is lost");
    assertEquals("one", add(cni, "c"));
  }

  @Test
  void interruptReachesThePlugin() throws Exception {
    network("demo");
    deploy(
        "demo",
        sourceOf(
            "demo",
            "System.setProperty(\"cni.test.waits\", \"\"); synchronized (this) { while (true) { try { wait(); } catch"
                + " (InterruptedException e) { throw CniException.interrupted(\"waiting\"); } } }",
            ""));
    var started = new CountDownLatch(1);
    var failed = new LinkedBlockingQueue<CniException>();
    Thread caller =
        Thread.ofPlatform()
            .start(
                () -> {
                  started.countDown();
                  failed.add(failure());
                });
    started.await();
    while (System.getProperty("cni.test.waits") == null) {
      Thread.sleep(10);
    }
    caller.interrupt();
    CniException e = failed.poll(10, TimeUnit.SECONDS);
    assertEquals(11, Objects.requireNonNull(e).code());
    caller.join(Duration.ofSeconds(10));
  }

  @Test
  void moduleCarriesFilesOfItsOwn() throws Exception {
    Path made = compiler.compilePlugin("1", sourceAnswering("own", ""));
    try (var jar = java.nio.file.FileSystems.newFileSystem(made.resolve("1.jar"))) {
      Files.writeString(Files.createDirectories(jar.getPath("META-INF/x")).resolve("f"), "mine");
    }
    PluginCompiler.deploy(made, root.resolve("own"));
    byte[] mine = cni.plugins().resource("own", "META-INF/x/f").orElseThrow();
    assertEquals("mine", new String(mine, java.nio.charset.StandardCharsets.UTF_8));
    assertTrue(cni.plugins().resource("own", "META-INF/x/g").isEmpty());
    assertTrue(cni.plugins().resource("other", "META-INF/x/f").isEmpty());
  }
}
