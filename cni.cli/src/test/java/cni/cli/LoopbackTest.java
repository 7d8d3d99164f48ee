package cni.cli;

import static cni.cli.TestHost.attachment;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.CniException;
import cni.api.Result;
import cni.netlink.ffm.NetNs;
import cni.netlink.lab.KernelTest;
import cni.netlink.lab.Lab;
import cni.runtime.Network;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The loopback interface of containers. */
@KernelTest
class LoopbackTest {
  private TestHost host;
  private NetNs a;
  private NetNs b;

  @BeforeEach
  void open() throws IOException {
    host = new TestHost();
    a = host.container("a");
    b = host.container("b");
  }

  @AfterEach
  void close() throws IOException {
    host.close();
  }

  private Network network() throws CniException {
    return host.open().network("n");
  }

  @Test
  void loopbackIsSetUpCheckedAndPassesOn() throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"loopback\" }");
    Result result = network().add(attachment(a));
    assertEquals("lo", result.interfaces().getFirst().name());
    assertEquals("127.0.0.1/8", result.ips().getFirst().address().toString());
    assertTrue(Lab.pings(a, "127.0.0.1") && Lab.pings(a, "::1"));
    network().check(attachment(a));
    Lab.run(a, "ip", "link", "set", "lo", "down");
    CniException e = assertThrows(CniException.class, () -> network().check(attachment(a)));
    assertTrue(e.getMessage().contains("lo is down"), e::getMessage);
    network().delete(attachment(a));
    host.network("n", "1.0.0", TestHost.DUAL_STACK.formatted(""), "{ \"type\": \"loopback\" }");
    assertEquals(3, network().add(attachment(b)).interfaces().size());
    network().check(attachment(b));
    assertTrue(Lab.pings(b, "127.0.0.1"));
    network().delete(attachment(b));
    assertFalse(Lab.run(b, "ip", "link", "show", "lo").contains("UP"));
  }

  @Test
  void aFailedLoopbackLeavesItDown() throws Exception {
    host.network("n", "1.0.0", "{ \"type\": \"loopback\" }");
    Lab.run(a, "ip", "addr", "add", "10.60.0.1/32", "dev", "lo");
    CniException e = assertThrows(CniException.class, () -> network().add(attachment(a)));
    assertTrue(e.getMessage().contains("10.60.0.1/32"), e::getMessage);
    assertFalse(Lab.run(a, "ip", "link", "show", "lo").contains("UP"));
  }
}
