// SPDX-License-Identifier: Apache-2.0
package cni.dist;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The packages that the build has made. The Debian package is installed, used, upgraded and removed
 * in a clean Debian (package.sh); the others are unpacked and compared with it.
 */
@KernelTest(commands = {"debootstrap", "dpkg-deb", "lintian", "rpm", "rpm2cpio", "cpio"})
class PackageIT {
  private static final Path TARGET = Path.of("target").toAbsolutePath();

  @TempDir private Path temporary;

  private static Path only(String pattern) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(TARGET, pattern)) {
      List<Path> found = new ArrayList<>();
      files.forEach(found::add);
      assertEquals(1, found.size(), pattern + ": " + found);
      return found.getFirst();
    }
  }

  /** Runs a command to its end and returns what it prints. */
  private static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), () -> String.join(" ", command) + "\n" + printed);
    return printed;
  }

  /** Returns a clean Debian, which is made once: that takes a minute. */
  private static Path debian() throws IOException, InterruptedException {
    Path root = TARGET.resolve("debian");
    if (!Files.exists(root.resolve("tmp/complete"))) {
      run("rm", "-rf", root.toString());
      run("sh", resource("debian.sh").toString(), root.toString());
      Files.createFile(root.resolve("tmp/complete"));
    }
    return root;
  }

  private static Path resource(String name) {
    return Path.of("src/test/resources/cni/dist", name).toAbsolutePath();
  }

  /** Returns the package with a higher version. */
  private Path newer(Path deb) throws IOException, InterruptedException {
    Path tree = temporary.resolve("newer");
    Path newer = temporary.resolve("newer.deb");
    run("dpkg-deb", "-R", deb.toString(), tree.toString());
    run("sed", "-i", "s/^Version: .*/&+newer/", tree.resolve("DEBIAN/control").toString());
    run("dpkg-deb", "-Zgzip", "-z1", "-b", tree.toString(), newer.toString());
    return newer;
  }

  /** Returns the lines {@code KEY: VALUE} of the script. */
  private static Map<String, String> facts(String printed) {
    Map<String, String> facts = new TreeMap<>();
    for (String line : printed.lines().toList()) {
      int colon = line.indexOf(": ");
      if (colon > 0) {
        facts.put(line.substring(0, colon), line.substring(colon + 2).strip());
      }
    }
    return facts;
  }

  private static String fact(Map<String, String> facts, String key) {
    return Objects.requireNonNull(facts.get(key), key);
  }

  @Test
  void isInstalledUsedUpgradedAndRemoved() throws Exception {
    Path deb = only("*.deb");
    Path work = Files.createDirectory(temporary.resolve("work"));
    String printed =
        run(
            "unshare",
            "-m",
            "-n",
            "-p",
            "-f",
            "sh",
            resource("package.sh").toString(),
            debian().toString(),
            work.toString(),
            deb.toString(),
            newer(deb).toString());
    Map<String, String> facts = facts(printed);
    assertTrue(fact(facts, "installed").startsWith("cni "), printed);
    assertTrue(fact(facts, "links").matches("\\d\\d /usr/lib/cni-jvm/bin/cni"), printed);
    assertEquals("none", facts.get("java"), printed);
    assertTrue(fact(facts, "manual").contains("cni-add - Attach a network namespace"), printed);
    assertEquals("0 complaints", facts.get("manuals"), printed);
    assertEquals("validate", facts.get("completion"), printed);
    assertEquals("served served", facts.get("published"), printed);
    assertEquals("reached 1", facts.get("containerd"), printed);
    assertEquals("0 failed of many", facts.get("calls"), printed);
    assertEquals("+newer", facts.get("upgraded"), printed);
    assertEquals("served served", facts.get("upgraded with attachments"), printed);
    assertEquals("as added", facts.get("check"), printed);
    assertEquals("1", facts.get("warning"), printed);
    assertEquals("served served", facts.get("removed"), printed);
    // The administrator's configuration, and the directories of state.
    assertTrue(
        fact(facts, "left")
            .matches(
                "(/etc/cni|/etc/cni/net.d|/etc/cni/net.d/10-mynet.conflist|/var/lib/cni\\S*| )+"),
        printed);
    assertEquals("0", facts.get("links left"), printed);
  }

  @Test
  void lintianHasNoErrors() throws Exception {
    Path deb = only("*.deb");
    String tags =
        run("sh", "-c", "lintian --allow-root --no-tag-display-limit " + deb + " || true");
    assertEquals(
        List.of(), tags.lines().filter(it -> it.startsWith("E: ")).toList(), "lintian's errors");
  }

  @Test
  void rpmHasTheFilesOfTheDebianPackage() throws Exception {
    Path rpm = only("*.rpm");
    Path fromRpm = Files.createDirectory(temporary.resolve("rpm"));
    Path fromDeb = Files.createDirectory(temporary.resolve("deb"));
    run("sh", "-c", "cd " + fromRpm + " && rpm2cpio " + rpm + " | cpio -id --quiet");
    run("dpkg-deb", "-x", only("*.deb").toString(), fromDeb.toString());
    assertEquals("", run("diff", "-r", "--no-dereference", fromDeb.toString(), fromRpm.toString()));
    String permissions =
        "cd %s && find . \\( -type f -o -type l \\) -printf '%%P %%m %%l\\n' | sort";
    assertEquals(
        run("sh", "-c", permissions.formatted(fromDeb)),
        run("sh", "-c", permissions.formatted(fromRpm)));
  }

  @Test
  void archiveRunsWhereItIsUnpacked() throws Exception {
    run("tar", "-C", temporary.toString(), "-xzf", only("*.tar.gz").toString());
    Path unpacked;
    try (DirectoryStream<Path> found = Files.newDirectoryStream(temporary, "cni-jvm-*")) {
      unpacked = found.iterator().next();
    }
    String cni = unpacked.resolve("bin/cni").toString();
    assertTrue(run(cni, "--version").startsWith("cni "));
    run("cp", "-a", unpacked.toString(), temporary.resolve("upgraded").toString());
    Path links = temporary.resolve("bin");
    run(cni, "install", "--dir", links.toString());
    String answer = run("env", "-i", "CNI_COMMAND=VERSION", links.resolve("bridge").toString());
    assertTrue(answer.contains("supportedVersions"), answer);
    // An upgrade: the other image replaces the links.
    Path upgraded = temporary.resolve("upgraded").toRealPath();
    String newer = upgraded.resolve("bin/cni").toString();
    run(newer, "install", "--dir", links.toString());
    assertEquals(newer, Files.readSymbolicLink(links.resolve("bridge")).toString());
    run(newer, "install", "--dir", links.toString(), "--remove");
    assertEquals("", run("ls", "-A", links.toString()));
  }
}
