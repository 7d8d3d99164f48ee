// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import static cni.testing.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.PluginEvent;
import cni.runtime.Cni;
import cni.runtime.Subscription;
import cni.testing.DhcpServer;
import cni.testing.JavaProcess;
import cni.testing.KernelTest;
import java.nio.file.Files;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Leases of the dhcp plugin after ADD: renewed, adopted, lost and released by others. */
@KernelTest(commands = {"dnsmasq", "kea-dhcp4", "kea-dhcp6"})
class DhcpRenewalTest extends DhcpTestNetwork {
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shortLeaseIsRenewedAndSurvivesServerRestart(boolean v6) throws Exception {
    network(v6);
    DhcpServer server = kea(v6, pool(v6));
    try (Cni cni = host.openCni()) {
      String address = address(cni.network("n").add(attachment(a)), 0);
      awaitRenewals(3);
      server.close();
      server = kea(v6, pool(v6));
      awaitRenewals(1);
      assertTrue(hasAddress(address));
      cni.network("n").check(attachment(a));
      cni.network("n").delete(attachment(a));
      server.awaitLog(v6 ? "RELEASE" : "DHCPRELEASE");
      assertEquals(List.of(), leases());
    } finally {
      server.close();
    }
  }

  /** The other server has the same leases; it is reached by the multicast of a rebind. */
  @Test
  void rebindsToAnotherServer() throws Exception {
    network(true);
    DhcpServer server = kea(true, pool(true));
    try (Cni cni = host.openCni()) {
      String address = address(cni.network("n").add(attachment(a)), 0);
      String first = leaseFile().replaceAll(".*\"server\":\"(\\w+)\".*", "$1");
      server.close();
      server = kea(true, pool(true), "0304");
      awaitRenewals(1);
      assertFalse(leaseFile().contains(first), "granted by the other server now");
      assertTrue(hasAddress(address));
      cni.network("n").delete(attachment(a));
    } finally {
      server.close();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void addressIsRemovedAtExpiryWhenTheServerIsGone(boolean v6) throws Exception {
    network(v6);
    try (Cni cni = host.openCni()) {
      String address;
      try (DhcpServer _ = kea(v6, pool(v6))) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      assertTrue(hasAddress(address));
      cni.network("n").check(attachment(a));
      await("the address remains after its expiry", () -> !hasAddress(address));
      CniException e =
          assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
      assertTrue(
          String.valueOf(e.getMessage()).contains("it expired and was not renewed"), e::getMessage);
      cni.network("n").delete(attachment(a));
      assertEquals(List.of(), leases());
    }
  }

  /** The server has lost its leases and has other addresses, so it replies with DHCPNAK. */
  @Test
  void nakRemovesTheAddressAndPublishesLeaseLost() throws Exception {
    network("");
    var events = new LinkedBlockingQueue<PluginEvent>();
    try (Cni cni = host.openCni();
        Subscription _ =
            cni.onEvent(
                event -> {
                  if (event.kind() != PluginEvent.Kind.ADDED) {
                    events.add(event);
                  }
                })) {
      String address;
      try (DhcpServer _ = dnsmasq(V4, "--dhcp-option=option:T2,4s")) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      Files.delete(host.ipamData().resolve("dnsmasq.leases"));
      String other = "--dhcp-range=192.0.2.90,192.0.2.99,255.255.255.0,10m";
      try (DhcpServer server = dnsmasq(other, "--dhcp-authoritative")) {
        server.awaitLog("DHCPNAK\\(up1\\) " + address);
        await("the address remains", () -> !hasAddress(address));
        PluginEvent event = events.poll(10, TimeUnit.SECONDS);
        assertTrue(
            event != null
                && event.kind() == PluginEvent.Kind.LEASE_LOST
                && event.attachment().equals(Optional.of(attachment(a).id()))
                && event.message().contains(address.replaceAll("/.*", "")),
            () -> String.valueOf(event));
        assertThrows(CniException.class, () -> cni.network("n").check(attachment(a)));
        cni.network("n").delete(attachment(a));
      }
    }
  }

  /** The server has lost its leases, but may grant the same address again. */
  @Test
  void serverWithoutItsLeasesGrantsTheSameAddressAgain() throws Exception {
    network("");
    try (Cni cni = host.openCni()) {
      String address;
      try (DhcpServer _ = dnsmasq(V4, "--dhcp-option=option:T2,4s")) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      Files.delete(host.ipamData().resolve("dnsmasq.leases"));
      try (DhcpServer server = dnsmasq(V4)) {
        server.awaitLog("DHCPACK\\(up1\\) " + address);
        cni.network("n").check(attachment(a));
        assertTrue(hasAddress(address));
        cni.network("n").delete(attachment(a));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void nextProcessAdoptsLeasesOfAKilledProcess(boolean v6) throws Exception {
    network(v6);
    try (DhcpServer server = kea(v6, pool(v6))) {
      Process holder =
          new ProcessBuilder(
                  JavaProcess.command(
                      LeaseHolderProcess.class,
                      host.networks().toString(),
                      host.cache().toString(),
                      host.netns().path().toString(),
                      a.path().toString()))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      try {
        String line = holder.inputReader().readLine();
        assertTrue(String.valueOf(line).startsWith(v6 ? "2001:db8::" : "192.0.2."), line);
      } finally {
        holder.destroyForcibly().waitFor();
      }
      String before = obtained();
      Thread.sleep(3000);
      assertEquals(before, obtained(), "no process renews it meanwhile");
      try (Cni cni = host.openCni()) {
        awaitRenewals(2);
        cni.network("n").check(attachment(a));
        cni.network("n").delete(attachment(a));
        server.awaitLog(v6 ? "RELEASE" : "DHCPRELEASE");
      }
    }
    assertEquals(List.of(), leases());
  }

  @Test
  void dhcpv6ServerWithoutItsLeasesGrantsTheSameAddressAgain() throws Exception {
    network(true);
    try (Cni cni = host.openCni()) {
      String address;
      try (DhcpServer _ = kea(true, pool(true))) {
        address = address(cni.network("n").add(attachment(a)), 0);
      }
      Files.delete(host.ipamData().resolve("kea6.leases"));
      try (DhcpServer _ = kea(true, pool(true))) {
        awaitRenewals(2);
        cni.network("n").check(attachment(a));
        assertTrue(hasAddress(address));
        cni.network("n").delete(attachment(a));
      }
    }
  }

  /** The owner must not write the lease again when its renewal completes after the release. */
  @Test
  void leaseReleasedByAnotherProcessIsNotRevivedByItsOwner() throws Exception {
    network("");
    try (DhcpServer server = kea(false, pool(false));
        Cni first = host.openCni()) {
      first.network("n").add(attachment(a));
      String owner = leaseFile().replaceAll(".*\"keeper\":\"([^\"]+)\".*", "$1");
      try (Cni second = host.openCni()) {
        awaitRenewals(1);
        assertTrue(leaseFile().contains(owner), "the first process still owns it");
        second.network("n").check(attachment(a));
        second.network("n").delete(attachment(a));
        server.awaitLog("DHCPRELEASE");
      }
      int requests = server.count("DHCPREQUEST");
      Thread.sleep(4000);
      assertEquals(List.of(), leases());
      assertEquals(requests, server.count("DHCPREQUEST"));
    }
  }
}
