// SPDX-License-Identifier: Apache-2.0
package cni.plugins.main;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.api.AttachmentRequest;
import cni.api.CallContext;
import cni.api.CniException;
import cni.api.ConfigObject;
import cni.api.Deadline;
import cni.api.Json;
import cni.api.NetworkPlugin;
import cni.api.PluginConfig;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.plugins.main.tap.TapPlugin;
import cni.testing.KernelTest;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** DEL of an interface to which the container has given the alias of another attachment. */
@KernelTest
class ClaimedInterfaceTest {
  /** The dhcp plugin releases its lease over the interface, before that is deleted. */
  @ParameterizedTest
  @CsvSource({"dhcp,other,false", "host-local,other,false", "dhcp,own,true", "host-local,own,true"})
  void addressesOfClaimedInterfaceAreNotReleased(String ipam, String claimed, boolean isReleased)
      throws Exception {
    try (var host = new TestHost()) {
      NetNs a = host.container("a");
      TestBed.run(a, "ip", "tuntap", "add", "mode", "tap", "name", "eth0");
      String id = claimed.equals("own") ? TestHost.attachment(a).containerId() : claimed;
      TestBed.run(a, "ip", "link", "set", "eth0", "alias", "cni:n/" + id + "/eth0");
      var delegate = new RecordingIpam(ipam);
      AttachmentRequest request = request(host, a, delegate);
      if (isReleased) {
        new TapPlugin().delete(request);
      } else {
        CniException e = assertThrows(CniException.class, () -> new TapPlugin().delete(request));
        assertEquals(999, e.code());
        assertTrue(String.valueOf(e.getMessage()).contains("cni:n/other/eth0"), e::getMessage);
      }
      assertEquals(isReleased ? List.of(id) : List.of(), delegate.released);
      String links = TestBed.run(a, "ip", "link", "show", "type", "tun");
      assertEquals(isReleased, links.isEmpty(), links);
    }
  }

  private static AttachmentRequest request(TestHost host, NetNs container, NetworkPlugin ipam)
      throws CniException {
    String json =
        """
        { "cniVersion": "1.1.0", "name": "n", "type": "tap", "ipam": { "type": "%s" } }
        """
            .formatted(ipam.type());
    var context =
        new CallContext(
            Optional.of(host.netns().path()), Deadline.after(Duration.ofMinutes(1)), _ -> ipam);
    return new AttachmentRequest(
        PluginConfig.of(
            new ConfigObject(Json.parse(json.getBytes(StandardCharsets.UTF_8), "test"), "")),
        TestHost.attachment(container),
        Optional.empty(),
        context);
  }

  /** An ipam plugin that records the containers whose addresses it releases. */
  private static final class RecordingIpam implements NetworkPlugin {
    private final String type;
    private final List<String> released = new ArrayList<>();

    RecordingIpam(String type) {
      this.type = type;
    }

    @Override
    public String type() {
      return type;
    }

    @Override
    public Result add(AttachmentRequest request) {
      throw new IllegalStateException();
    }

    @Override
    public void check(AttachmentRequest request) {
      throw new IllegalStateException();
    }

    @Override
    public void delete(AttachmentRequest request) {
      released.add(request.attachment().containerId());
    }
  }
}
