// SPDX-License-Identifier: Apache-2.0
package cni.embedder;

import static cni.embedder.PluginCompiler.sourceAnswering;
import static cni.embedder.PluginCompiler.sourceOf;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.CniException;
import cni.runtime.Cni;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Plugins that cannot be loaded, and plugins that violate their contract. */
class BrokenPluginsTest extends PluginDirectoryTestBase {
  @BeforeEach
  void deployWorkingPlugin() throws IOException {
    deploy("sound", sourceAnswering("sound", "sound"));
  }

  @Override
  Duration timeout() {
    return Duration.ofSeconds(2);
  }

  private CniException failure(Cni host, String... types) throws Exception {
    network(types);
    var attachment = Attachment.of("c", Path.of("/run/netns/none"), "eth0");
    return assertThrows(CniException.class, () -> host.network("n").add(attachment));
  }

  /** Asserts that ADD, STATUS and the registry all report why, and that other plugins work. */
  private void assertDisabled(String name, String why) throws Exception {
    CniException e = failure(cni, "sound", name);
    assertEquals(7, e.code());
    assertTrue(e.getMessage().contains(why), e::getMessage);
    // The reason comes first; where else the type was searched for is of no interest.
    Path directory = root.resolve(name);
    String start = "plugin " + name + " in " + directory + " is disabled: ";
    assertTrue(e.getMessage().startsWith(start), e::getMessage);
    CniException status = assertThrows(CniException.class, () -> cni.network("n").status());
    assertEquals(50, status.code());
    assertTrue(status.getMessage().contains(why), status::getMessage);
    String disabled = cni.plugins().disabled().toString();
    assertTrue(disabled.contains(why) && disabled.contains(name), disabled);
    assertEquals("sound", cni.plugins().find("sound").type());
  }

  @Test
  void missingDependencyDisablesThePlugin() throws Exception {
    Path made = Files.createTempDirectory(workshop, "broken");
    Path library =
        compiler.compileJar(
            made,
            "library",
            Map.of(
                "module-info.java",
                "module library { exports library; }",
                "Library.java",
                "package library; public class Library {}"));
    compiler.compileJar(
        made,
        "1",
        Map.of(
            "module-info.java",
            PluginCompiler.MODULE.replace(
                "requires cni.api;", "requires cni.api; requires library;"),
            "Demo.java",
            sourceOf(
                "broken", "return \"\";", "private final Object it = new library.Library();")));
    Files.delete(library);
    PluginCompiler.deploy(made, root.resolve("broken"));
    assertDisabled("broken", "library");
  }

  @Test
  void laterClassFileVersionDisablesThePlugin() throws Exception {
    Path made = compiler.compilePlugin("1", sourceAnswering("broken", ""));
    // Bytes 6 and 7 of a class file are its major version, which is 75 for Java 31.
    Path jar = made.resolve("1.jar");
    try (var files = java.nio.file.FileSystems.newFileSystem(jar)) {
      for (String name : new String[] {"module-info.class", "demo/Demo.class"}) {
        byte[] bytes = Files.readAllBytes(files.getPath(name));
        bytes[7] = 75;
        Files.write(files.getPath(name), bytes);
      }
    }
    PluginCompiler.deploy(made, root.resolve("broken"));
    assertDisabled("broken", "it is compiled for Java 31");
  }

  @Test
  void throwingConstructorDisablesThePlugin() throws Exception {
    deploy(
        "broken",
        sourceOf(
            "broken", "return \"\";", "{ if (true) throw new IllegalStateException(\"oops\"); }"));
    assertDisabled("broken", "oops");
  }

  @Test
  void failingStaticInitializerDisablesThePlugin() throws Exception {
    deploy(
        "broken",
        sourceOf("broken", "return \"\";", "static final int X = Integer.parseInt(\"x\");"));
    assertDisabled("broken", "NumberFormatException");
  }

  @Test
  void moduleWithoutProviderIsDisabled() throws Exception {
    Path made = Files.createTempDirectory(workshop, "broken");
    compiler.compileJar(
        made,
        "1",
        Map.of(
            "module-info.java",
            "module demo { requires cni.api; }",
            "Demo.java",
            sourceAnswering("broken", "")));
    PluginCompiler.deploy(made, root.resolve("broken"));
    assertDisabled("broken", "provides a plugin");
  }

  @Test
  void emptyDirectoryIsDisabled() throws Exception {
    PluginCompiler.deploy(Files.createTempDirectory(workshop, "broken"), root.resolve("broken"));
    assertDisabled("broken", "no module");
  }

  @Test
  void fileThatIsNotAJarIsDisabled() throws Exception {
    Path made = Files.createTempDirectory(workshop, "broken");
    Files.writeString(made.resolve("x.jar"), "no jar");
    PluginCompiler.deploy(made, root.resolve("broken"));
    assertDisabled("broken", "x.jar");
  }

  @Test
  void invalidPluginTypeIsDisabled() throws Exception {
    deploy("broken", sourceAnswering("../broken", ""));
    assertDisabled("broken", "../broken");
  }

  @Test
  void secondProviderOfATypeIsDisabled() throws Exception {
    deploy("a", sourceAnswering("same", "a"));
    deploy("b", sourceAnswering("same", "b"));
    assertEquals("same", cni.plugins().find("same").type());
    String disabled = cni.plugins().disabled().toString();
    assertTrue(disabled.contains(root.resolve("b") + " is disabled: type same"), disabled);
  }

  @Test
  void previousVersionStaysWhenItsReplacementIsBroken() throws Exception {
    assertEquals("sound", cni.plugins().find("sound").type());
    deploy(
        "sound",
        sourceOf(
            "sound", "return \"\";", "{ if (true) throw new IllegalStateException(\"oops\"); }"));
    assertEquals("sound", cni.plugins().find("sound").type());
    String disabled = cni.plugins().disabled().toString();
    assertTrue(disabled.contains("oops") && disabled.contains("remains"), disabled);
  }

  @Test
  void nativeAccessMustBeGrantedByTheHost() throws Exception {
    String source =
        sourceOf(
            "broken",
            """
            try {
              var linker = java.lang.foreign.Linker.nativeLinker();
              var handle = linker.downcallHandle(
                  linker.defaultLookup().find("getpid").orElseThrow(),
                  java.lang.foreign.FunctionDescriptor.of(java.lang.foreign.ValueLayout.JAVA_INT));
              return (int) handle.invokeExact() == ProcessHandle.current().pid() ? "pid" : "other";
            } catch (Throwable e) { throw new IllegalStateException(e); }
            """,
            "");
    deploy("broken", source);
    assertDisabled("broken", "--native-access broken");
    try (Cni granting = builder().nativeAccess("broken").build()) {
      var attachment = Attachment.of("c", Path.of("/run/netns/none"), "eth0");
      assertEquals("sound pid", granting.network("n").add(attachment).dns().domain());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "throw new IllegalStateException(\"oops\");              | 999 | oops",
        "throw new StackOverflowError();                          | 999 | StackOverflowError",
        "throw new NoClassDefFoundError(\"x/Y\");                 | 999 | x/Y",
        "throw new CniException(107, \"own\", \"\", null);        | 107 | own",
        "while (true) { Thread.onSpinWait(); }                    | 11  | deadline",
        "request = null; return request.toString();               | 999 | NullPointerException",
      })
  void misbehaviourBecomesAnErrorOfTheSpecification(String add, int code, String words)
      throws Exception {
    deploy("broken", sourceOf("broken", add, ""));
    CniException e = failure(cni, "sound", "broken");
    assertEquals(code, e.code(), e::getMessage);
    assertTrue(e.getMessage().contains(words), e::getMessage);
    // A CniException means that the plugin has rolled back its changes; otherwise it gets a DEL.
    assertEquals(
        code == 107 ? "sound" : "broken sound", System.getProperty("cni.test.deleted", ""));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "throw new IllegalStateException(\"oops\");           | oops",
        "throw new IllegalStateException(new Error(\"deep\")); | Caused by: java.lang.Error: deep",
        "throw new CniException(107, \"own\", \"\", new IllegalStateException(\"why\")); | why",
        "while (true) { Thread.onSpinWait(); }                | RUNNABLE",
      })
  void stackTraceIsInTheDetailsAndLogged(String add, String words) throws Exception {
    deploy("broken", sourceOf("broken", add, ""));
    try (var log = new CapturedLog("cni.runtime")) {
      CniException e = failure(cni, "broken");
      assertTrue(e.details().contains("demo.Demo.answer(Demo.java:"), e::details);
      assertTrue(e.details().contains(words), e::details);
      assertTrue(e.details().length() <= 16_100, e::details);
      assertTrue(log.text().contains("broken ADD"), log::text);
      assertTrue(log.text().contains("demo.Demo.answer(Demo.java:"), log::text);
    }
  }

  @Test
  void detailsOfAnEndlessRecursionAreBounded() throws Exception {
    deploy("broken", sourceOf("broken", "return type() + answer(request);", ""));
    CniException e = failure(cni, "broken");
    assertTrue(e.details().contains("StackOverflowError"), e::details);
    assertTrue(e.details().lines().count() < 60, e::details);
  }

  @Test
  void ownDetailsAreKept() throws Exception {
    deploy(
        "broken",
        sourceOf(
            "broken",
            "throw new CniException(107, \"own\", \"mine\", new IllegalStateException());",
            ""));
    assertEquals("mine", failure(cni, "broken").details());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "null | null",
        "new Result(List.of(), List.of(new Result.IpConfig(Cidr.parse(\"10.1.0.2/24\"), Optional.empty(), OptionalInt.of(1))), List.of(), Dns.NONE) | interface 1",
        "new Result(List.of(), List.of(), List.of(), null) | NullPointerException",
      })
  void invalidResultIsAnError(String result, String words) throws Exception {
    String source =
        sourceAnswering("broken", "")
            .replaceFirst("return new Result\\(.*", "return " + result.replace("$", "\\$") + ";");
    deploy("broken", source);
    CniException e = failure(cni, "sound", "broken");
    assertEquals(999, e.code());
    assertTrue(e.getMessage().contains(words), e::getMessage);
    assertEquals("broken sound", System.getProperty("cni.test.deleted", ""));
  }

  @Test
  void abandonedCallFindsNoDelegatesAnyMore() throws Exception {
    deploy(
        "broken",
        sourceOf(
            "broken",
            """
            long end = System.nanoTime() + 4_000_000_000L;
            while (System.nanoTime() < end) Thread.onSpinWait();
            try {
              return request.context().delegates().find("sound").type();
            } catch (CniException e) {
              System.setProperty("cni.test.late", e.code() + " " + e.getMessage());
              throw e;
            } finally {
              System.getProperties().putIfAbsent("cni.test.late", "found");
            }
            """,
            ""));
    assertEquals(11, failure(cni, "sound", "broken").code());
    assertEquals("", System.getProperty("cni.test.late", ""));
    for (int i = 0; i < 500 && System.getProperty("cni.test.late", "").isEmpty(); i++) {
      Thread.sleep(10);
    }
    assertEquals(
        "11 plugin sound is not called: the call that delegates to it was abandoned",
        System.getProperty("cni.test.late"));
  }

  @Test
  @EnabledIf("isRoot")
  void threadLeftInAnotherNamespaceIsNotReused() throws Exception {
    deploy(
        "broken",
        sourceOf(
            "broken",
            """
            try {
              var linker = java.lang.foreign.Linker.nativeLinker();
              var handle = linker.downcallHandle(
                  linker.defaultLookup().find("unshare").orElseThrow(),
                  java.lang.foreign.FunctionDescriptor.of(
                      java.lang.foreign.ValueLayout.JAVA_INT, java.lang.foreign.ValueLayout.JAVA_INT));
              return "" + (int) handle.invokeExact(0x40000000);
            } catch (Throwable e) { throw new IllegalStateException(e); }
            """,
            ""));
    try (Cni granting = builder().nativeAccess("broken").build()) {
      String before = namespace();
      CniException e = failure(granting, "sound", "broken");
      assertEquals(999, e.code());
      assertTrue(e.getMessage().contains("another namespace"), e::getMessage);
      assertEquals("broken sound", System.getProperty("cni.test.deleted", ""));
      assertEquals(before, namespace());
      assertEquals(0, threadsElsewhere(before));
    }
  }

  static boolean isRoot() throws IOException {
    return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
  }

  private static String namespace() throws IOException {
    return Files.readSymbolicLink(Path.of("/proc/thread-self/ns/net")).toString();
  }

  private static long threadsElsewhere(String namespace) throws IOException, InterruptedException {
    Thread.sleep(200);
    long elsewhere = 0;
    try (var threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
      for (Path thread : threads) {
        Path link = thread.resolve("ns/net");
        elsewhere += Files.readSymbolicLink(link).toString().equals(namespace) ? 0 : 1;
      }
    }
    return elsewhere;
  }
}
