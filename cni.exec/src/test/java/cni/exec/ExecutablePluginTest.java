// SPDX-License-Identifier: Apache-2.0
package cni.exec;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.Attachment;
import cni.api.AttachmentId;
import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.ErrorCode;
import cni.api.GcRequest;
import cni.api.Json;
import cni.api.NetworkRequest;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.api.SpecVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ExecutablePluginTest {
  private static final String RESULT =
      "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/n\"}]}";
  private static final Duration TIMEOUT = Duration.ofSeconds(50);

  @TempDir private Path directory;
  private final List<String> stderr = new CopyOnWriteArrayList<>();

  private ExecutablePlugin script(String body) throws IOException {
    Path file = directory.resolve("sample");
    Files.writeString(file, "#!/bin/sh\n" + body);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    var path = new PluginPath(List.of(directory, Path.of("/nowhere")));
    return new ExecutablePlugin(
        "sample", file, path, (type, text) -> stderr.add(type + ": " + text));
  }

  private static PluginConfig config(String more) throws CniException {
    return PluginConfig.of(
        new ConfigObject(
            Json.parse(
                "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"sample\"" + more + "}",
                "test"),
            ""));
  }

  private static AttachmentRequest request(Duration time, Optional<Result> previous)
      throws CniException {
    var attachment =
        Attachment.of("c1", Path.of("/run/netns/c1"), "eth0").withArgs(Map.of("K", "V"));
    return new AttachmentRequest(
        config(",\"unknown\":{\"kept\":[1.50]}"), attachment, previous, context(time));
  }

  private static AttachmentRequest request() throws CniException {
    return request(TIMEOUT, Optional.empty());
  }

  private static CallContext context(Duration time) {
    return new CallContext(
        Optional.empty(),
        Deadline.after(time),
        type -> {
          throw new CniException(ErrorCode.INTERNAL, type);
        });
  }

  private CniException failure(String body) throws IOException, CniException {
    ExecutablePlugin plugin = script(body);
    AttachmentRequest request = request();
    return assertThrows(CniException.class, () -> plugin.add(request));
  }

  @Test
  void addPassesEnvironmentAndConfigurationAndReadsTheResult() throws Exception {
    ExecutablePlugin plugin =
        script(
            """
            env | grep ^CNI_ | grep -v CNI_REFERENCE_PLUGINS | sort > %1$s/env
            cat > %1$s/stdin
            echo noted >&2
            echo '%2$s'
            """
                .formatted(directory, RESULT));
    Result previous = Result.EMPTY.withInterfaces(List.of(new Result.Interface("v0", "", 0, "")));
    Result result = plugin.add(request(TIMEOUT, Optional.of(previous)));
    assertEquals("eth0", result.interfaces().getFirst().name());
    assertEquals(
        """
        CNI_ARGS=K=V
        CNI_COMMAND=ADD
        CNI_CONTAINERID=c1
        CNI_IFNAME=eth0
        CNI_NETNS=/run/netns/c1
        CNI_PATH=%s:/nowhere
        """
            .formatted(directory),
        Files.readString(directory.resolve("env")));
    assertEquals(
        Json.parse(
            """
            {"cniVersion": "1.1.0", "name": "n", "type": "sample", "unknown": {"kept": [1.50]},
             "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "v0"}]}}
            """,
            "expected"),
        Json.parse(Files.readAllBytes(directory.resolve("stdin")), "stdin"));
    assertEquals(List.of("sample: noted\n"), stderr);
  }

  @Test
  void eachVerbIsPassedAsCniCommand() throws Exception {
    ExecutablePlugin plugin =
        script("cat > %1$s/$CNI_COMMAND.in\necho $CNI_COMMAND >> %1$s/verbs".formatted(directory));
    plugin.check(request());
    plugin.delete(request());
    var valid = Set.of(new AttachmentId("c1", "eth0"));
    plugin.gc(new GcRequest(config(""), valid, context(TIMEOUT)));
    plugin.status(new NetworkRequest(config(""), context(TIMEOUT)));
    assertEquals(
        List.of("CHECK", "DEL", "GC", "STATUS"), Files.readAllLines(directory.resolve("verbs")));
    assertEquals(
        "[{\"containerID\":\"c1\",\"ifname\":\"eth0\"}]",
        Json.parse(Files.readAllBytes(directory.resolve("GC.in")), "GC")
            .get("cni.dev/valid-attachments")
            .toString());
  }

  @Test
  void versionsAreThoseListedByTheExecutable() throws Exception {
    ExecutablePlugin plugin =
        script("echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}'");
    assertEquals(Set.of(SpecVersion.V0_4_0, SpecVersion.V1_0_0), plugin.versions());
    assertTrue(
        String.valueOf(assertThrows(CniException.class, script("echo 1")::versions).getMessage())
            .contains("VERSION"));
  }

  @Test
  void errorObjectBecomesTheException() throws Exception {
    CniException e =
        failure(
            """
            echo '{"cniVersion":"1.1.0","code":107,"msg":"no luck","details":"at all"}'
            exit 3
            """);
    assertEquals(107, e.code());
    assertEquals("sample: no luck", e.getMessage());
    assertEquals("at all", e.details());
  }

  @Test
  void errorObjectWithExitStatusZeroIsAnError() throws Exception {
    assertEquals(7, failure("echo '{\"code\":7,\"msg\":\"no luck\"}'").code());
  }

  @Test
  void failureWithoutErrorObjectReportsStatusAndStderr() throws Exception {
    CniException e = failure("echo broken pipe dream >&2; exit 3");
    assertEquals(999, e.code());
    assertTrue(e.getMessage().contains("ended with status 3"), e::getMessage);
    assertTrue(e.getMessage().contains("broken pipe dream"), e::getMessage);
  }

  @Test
  void terminationBySignalIsReported() throws Exception {
    CniException e = failure("kill -9 $$");
    assertTrue(e.getMessage().contains("ended by signal 9"), e::getMessage);
  }

  @Test
  void malformedOutputIsQuotedInTheError() throws Exception {
    CniException e = failure("echo '{ \"cniVersion\": oops'");
    assertEquals(ErrorCode.DECODING_FAILURE.value(), e.code());
    assertTrue(e.getMessage().contains("oops"), e::getMessage);
    assertTrue(e.getMessage().contains("line 1, column"), e::getMessage);
    assertTrue(failure("exit 0").getMessage().contains("printed no result"));
    assertTrue(
        failure("echo '{\"ips\":[{\"address\":\"x\"}]}'").getMessage().contains("ips[0].address"));
  }

  @Test
  void floodOnStandardErrorIsBounded() throws Exception {
    ExecutablePlugin plugin = script("exec yes >&2");
    AttachmentRequest request = request(Duration.ofMillis(700), Optional.empty());
    CniException e = assertThrows(CniException.class, () -> plugin.add(request));
    assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER), e::getMessage);
    assertTrue(e.details().startsWith("y\ny\n"), e::details);
    assertTrue(e.details().length() < 17_000, () -> "" + e.details().length());
  }

  @Test
  void hangingExecutableIsKilledWithItsChildren() throws Exception {
    ExecutablePlugin plugin =
        script(
            "echo started >&2\necho $$ > %1$s/pid\nsleep 300 & \necho $! >> %1$s/pid\nwait"
                .formatted(directory));
    AttachmentRequest request = request(Duration.ofMillis(700), Optional.empty());
    CniException e = assertThrows(CniException.class, () -> plugin.add(request));
    assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER));
    assertTrue(e.getMessage().contains("deadline"), e::getMessage);
    assertEquals("started", e.details());
    for (String pid : Files.readAllLines(directory.resolve("pid"))) {
      awaitEnd(Long.parseLong(pid));
    }
  }

  private static void awaitEnd(long pid) throws InterruptedException {
    while (ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isPresent()) {
      Thread.sleep(10);
    }
  }

  @Test
  void grandchildHoldingThePipesDoesNotDelayTheResult() throws Exception {
    ExecutablePlugin plugin =
        script("sleep 20 &\necho $! > %s/pid\necho '%s'".formatted(directory, RESULT));
    long start = System.nanoTime();
    plugin.add(request());
    assertTrue(System.nanoTime() - start < Duration.ofSeconds(10).toNanos());
    long pid = Long.parseLong(Files.readString(directory.resolve("pid")).strip());
    assertTrue(ProcessHandle.of(pid).map(ProcessHandle::destroyForcibly).orElseThrow());
  }

  @Test
  void interruptEndsTheCall() throws Exception {
    ExecutablePlugin plugin = script("exec sleep 300");
    AttachmentRequest request = request();
    Thread caller = Thread.currentThread();
    Thread.ofPlatform()
        .start(
            () -> {
              while (ProcessHandle.current().children().findAny().isEmpty()) {
                Thread.onSpinWait();
              }
              caller.interrupt();
            });
    CniException e = assertThrows(CniException.class, () -> plugin.add(request));
    assertTrue(Thread.interrupted());
    assertTrue(e.getMessage().contains("interrupted"), e::getMessage);
  }

  @Test
  void unreadInputAndOutputLongerThanAPipeDoNotBlock() throws Exception {
    Result previous =
        Result.EMPTY.withInterfaces(
            Stream.generate(() -> new Result.Interface("x".repeat(99), "", 0, ""))
                .limit(5000)
                .toList());
    ExecutablePlugin ignoring = script("echo '" + RESULT + "'");
    assertEquals(1, ignoring.add(request(TIMEOUT, Optional.of(previous))).interfaces().size());
    ExecutablePlugin echo = script("sed 's/.*\"prevResult\"://; s/}$//'");
    assertEquals(previous, echo.add(request(TIMEOUT, Optional.of(previous))));
  }

  @Test
  void executableThatCannotStartIsReportedAndLeaksNoDescriptor() throws Exception {
    ExecutablePlugin plugin = script("exit 0");
    Files.writeString(plugin.executable(), "#!/no/such/interpreter\n");
    AttachmentRequest request = request();
    CniException e = assertThrows(CniException.class, () -> plugin.add(request));
    assertTrue(e.is(ErrorCode.IO_FAILURE));
    assertTrue(e.getMessage().contains(plugin.executable().toString()), e::getMessage);
    ExecutablePlugin working = script("echo '" + RESULT + "'");
    for (int i = 0; i < 5; i++) {
      working.add(request()); // opens the descriptors that stay open in this process
    }
    long before = descriptors();
    for (int i = 0; i < 50; i++) {
      working.add(request());
    }
    assertFalse(descriptors() > before + 3, () -> "descriptors before: " + before);
  }

  private static long descriptors() throws IOException {
    try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  @Test
  void inheritsFromTheCallerForWhomThisProcessWorks() throws Exception {
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path file = script("env | sort > env; echo '" + RESULT + "'").executable();
    var caller =
        new CallerContext(
            Map.of("PATH", "/usr/bin:/bin", "SECRET", "é", "CNI_ARGS", "K=caller"), elsewhere);
    callFor(caller, file);
    assertEquals(
        """
        CNI_ARGS=K=V
        CNI_COMMAND=ADD
        CNI_CONTAINERID=c1
        CNI_IFNAME=eth0
        CNI_NETNS=/run/netns/c1
        CNI_PATH=/nowhere
        PATH=/usr/bin:/bin
        PWD=%s
        SECRET=é
        """
            .formatted(elsewhere.toRealPath()),
        Files.readString(elsewhere.resolve("env")));
    script("echo '" + RESULT + "'");
    callFor(new CallerContext(caller.environment(), directory.resolve("deleted")), file);
  }

  private static void callFor(CallerContext caller, Path file) throws CniException {
    var path = new PluginPath(List.of(Path.of("/nowhere")));
    new ExecutablePlugin("sample", file, path, StderrHandler.TO_LOG, Optional.of(caller))
        .add(request());
  }
}
