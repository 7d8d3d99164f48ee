// SPDX-License-Identifier: Apache-2.0
package cni.embedded;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.ErrorCode;
import cni.netlink.ffm.netns.NetNs;
import cni.runtime.Cni;
import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Nothing remains of an executable whose runtime was killed during its ADD: it ends with the
 * runtime, and DEL and GC wait for what does not.
 */
@KernelTest
@Timeout(120)
class OrphanedExecutableTest {
  /** Reserves an address and makes a link, both before and after a pause. */
  private static final String SLOW_ADD =
      """
      attach() {
        : > @DIRECTORY@/reservation-$1
        ip link add slow$1 type veth peer name peer$1
      }
      case $CNI_COMMAND in
        VERSION) echo '{ "cniVersion": "1.1.0", "supportedVersions": [ "1.1.0" ] }' ;;
        ADD) attach 1
          @REST@
          ;;
        DEL)
          ip link delete slow1 2> /dev/null
          ip link delete slow2 2> /dev/null
          rm -f @DIRECTORY@/reservation-* ;;
      esac
      """;

  private final TestHost host;
  private final NetNs container;

  OrphanedExecutableTest(TestHost host) throws IOException {
    this.host = host;
    container = host.container("a");
  }

  private Path reservation(int number) {
    return host.directory().resolve("reservation-" + number);
  }

  /** Kills a runtime while the executable pauses in its ADD. */
  private void killRuntimeDuringAdd(String rest, boolean forcibly) throws Exception {
    host.script(
        "slow",
        SLOW_ADD.replace("@REST@", rest).replace("@DIRECTORY@", host.directory().toString()));
    host.network("n", "1.1.0", "{ \"type\": \"slow\" }");
    Process runtime =
        new ProcessBuilder(RuntimeProcess.command(host, container, "ADD")).inheritIO().start();
    while (!Files.exists(reservation(1)) || TestHost.linkNames(host.netns(), "veth").isEmpty()) {
      assertTrue(runtime.isAlive(), "the runtime has ended");
      Thread.sleep(10);
    }
    if (forcibly) {
      runtime.destroyForcibly();
    } else {
      runtime.destroy();
    }
    runtime.waitFor();
  }

  private void assertNothingLeft() throws IOException {
    host.assertNothingLeft("n", container);
    assertFalse(Files.exists(reservation(1)));
    assertFalse(Files.exists(reservation(2)));
    Path journal = host.cache().resolve("begun");
    try (var entries = Files.list(journal)) {
      assertEquals(List.of(), entries.toList());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void executableEndsWithItsRuntime(boolean forcibly) throws Exception {
    killRuntimeDuringAdd("trap '' TERM HUP; sleep 2; attach 2", forcibly);
    try (Cni cni = host.openCni()) {
      cni.network("n").delete(attachment(container));
      assertNothingLeft();
      cni.network("n").gc(Set.of());
    }
    Thread.sleep(2500); // it would have attached the container by now
    assertNothingLeft();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void delAndGcWaitForAnExecutableThatHasLeftItsProcessGroup(boolean gc) throws Exception {
    killRuntimeDuringAdd(
        """
        cat > @DIRECTORY@/late <<'END'
        sleep 2
        : > @DIRECTORY@/reservation-2
        ip link add slow2 type veth peer name peer2
        END
        setsid sh @DIRECTORY@/late
        """,
        true);
    try (Cni cni = host.openCni()) {
      if (gc) {
        cni.network("n").gc(Set.of());
      } else {
        cni.network("n").delete(attachment(container));
      }
      assertNothingLeft();
    }
  }

  @Test
  void delReportsAProcessThatDoesNotEnd() throws Exception {
    killRuntimeDuringAdd("setsid sleep 30 & echo $! > @DIRECTORY@/pid; sleep 9", true);
    long pid = Long.parseLong(Files.readString(host.directory().resolve("pid")).strip());
    try (Cni cni = host.builder().timeout(Duration.ofMillis(500)).build()) {
      CniException e =
          assertThrows(CniException.class, () -> cni.network("n").delete(attachment(container)));
      assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER), e.getMessage());
      assertTrue(e.getMessage().contains("fuser " + host.cache()), e.getMessage());
      ProcessHandle.of(pid).orElseThrow().destroyForcibly();
    }
    try (Cni cni = host.openCni()) {
      cni.network("n").delete(attachment(container));
      assertNothingLeft();
    }
  }

  /** Two executables that hang in the DEL of a rollback share ten seconds after the deadline. */
  @Test
  void rollbackOfExecutablesThatHangEndsSoonAfterTheDeadline() throws Exception {
    host.script(
        "slow",
        """
        case $CNI_COMMAND in
          VERSION) echo '{ "cniVersion": "1.1.0", "supportedVersions": [ "1.1.0" ] }' ;;
          ADD) echo '{ "cniVersion": "1.1.0" }'; ;;
          DEL) echo DEL >> @DIRECTORY@/calls; sleep 60 ;;
        esac
        """
            .replace("@DIRECTORY@", host.directory().toString()));
    host.script("hangs", "test $CNI_COMMAND = DEL || sleep 60");
    host.network(
        "n",
        "1.1.0",
        "{ \"type\": \"slow\" }",
        "{ \"type\": \"slow\" }",
        "{ \"type\": \"hangs\" }");
    long start = System.nanoTime();
    try (Cni cni = host.builder().timeout(Duration.ofSeconds(1)).build()) {
      CniException e =
          assertThrows(CniException.class, () -> cni.network("n").add(attachment(container)));
      assertTrue(e.is(ErrorCode.TRY_AGAIN_LATER), e.getMessage());
      assertEquals(2, e.getSuppressed().length);
    }
    Duration time = Duration.ofNanos(System.nanoTime() - start);
    assertTrue(time.compareTo(Duration.ofSeconds(14)) < 0, time::toString);
    assertEquals(List.of("DEL", "DEL"), Files.readAllLines(host.directory().resolve("calls")));
  }
}
