// SPDX-License-Identifier: Apache-2.0
package cni.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.testing.KernelTest;
import cni.testing.TestHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is found of the files of network configurations. */
@KernelTest(commands = "ip")
class ConfigExaminationsTest {
  private static final String NETWORK =
      """
      { "cniVersion": "1.0.0", "name": "n", "plugins": [ { "type": "bridge" } ] }
      """;

  @Test
  void directoryIsEmpty(TestHost host) throws Exception {
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.CONFIG_DIRECTORY_EMPTY, "no *.conflist", "put a network's configuration");
    }
  }

  @Test
  void directoryDoesNotExist(TestHost host) throws Exception {
    Files.delete(host.networks());
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(
          FindingKind.CONFIG_DIRECTORY_EMPTY, host.networks() + " does not exist", "--networks");
    }
  }

  @Test
  void fileIsNoJson(TestHost host) throws Exception {
    Path file = Files.writeString(host.networks().resolve("10-n.conflist"), "{ \"name\": ");
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(FindingKind.CONFIG_UNREADABLE, file.toString(), "cni validate " + file);
    }
  }

  @Test
  void keyIsMisspelt(TestHost host) throws Exception {
    host.dualStack("n", "\"isDefaultGatway\": true,");
    try (var examined = new ExaminedHost(host)) {
      Finding found =
          examined.assertOnly(
              FindingKind.CONFIG_QUESTIONABLE, "did you mean isDefaultGateway", "cni validate ");
      assertEquals(List.of("n"), found.networks());
      assertTrue(found.evidence().contains(".conflist:"), found::evidence);
    }
  }

  @Test
  void rangeIsInvalid(TestHost host) throws Exception {
    host.dualStack("m", "");
    host.network(
        "n",
        "1.0.0",
        """
        { "type": "ptp", "ipam": { "type": "host-local", "subnet": "10.1.0.0/33" } }
        """);
    try (var examined = new ExaminedHost(host)) {
      Finding found =
          examined.assertOnly(FindingKind.CONFIG_UNREADABLE, "ipam.subnet", "cni validate ");
      assertEquals(List.of("n"), found.networks());
    }
  }

  /** Other networks are examined although those examinations read the same key of all. */
  @Test
  void typeOfAValueIsWrong(TestHost host) throws Exception {
    host.dualStack("m", "");
    host.network("n", "1.0.0", "{ \"type\": \"bridge\", \"isGateway\": \"true\" }");
    try (var examined = new ExaminedHost(host)) {
      Finding found =
          examined.assertOnly(FindingKind.CONFIG_UNREADABLE, "isGateway", "cni validate ");
      assertEquals(List.of("n"), found.networks());
      assertEquals(
          List.of(), examined.examine(new Scope(Optional.of("m"), Optional.empty())).findings());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"\"mtu\": -5", "\"bridge\": \"toolongbridgename1234\"", "\"ipMasq\": \"yes\""})
  void whatValidateCallsAnErrorIsFound(String option, TestHost host) throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"bridge\", " + option + " }");
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(FindingKind.CONFIG_UNREADABLE, option.substring(1, 4), "cni validate ");
    }
  }

  @Test
  void secondFileOfANetworkIsNotUsed(TestHost host) throws Exception {
    Files.writeString(host.networks().resolve("10-n.conflist"), NETWORK);
    Path second = Files.writeString(host.networks().resolve("20-n.conflist"), NETWORK);
    try (var examined = new ExaminedHost(host)) {
      Finding found =
          examined.assertOnly(FindingKind.CONFIG_SHADOWED, second + " is not", "rm " + second);
      assertEquals(List.of("n"), found.networks());
    }
  }

  @Test
  void extensionIsNotRead(TestHost host) throws Exception {
    host.dualStack("n", "");
    Path file = Files.writeString(host.networks().resolve("m.conflist.bak"), NETWORK);
    Files.writeString(host.networks().resolve("README"), "not a network");
    try (var examined = new ExaminedHost(host)) {
      examined.assertOnly(FindingKind.CONFIG_IGNORED, file + " does not end with", "mv " + file);
    }
  }
}
