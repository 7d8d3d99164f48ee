// SPDX-License-Identifier: Apache-2.0
package cni.plugins.meta.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cni.plugins.meta.policy.PolicyWorld.Node;
import cni.testing.KernelTest;
import cni.testing.Probe;
import cni.testing.TestBed;
import cni.testing.TestHost;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * A container that makes frames of its own does not reach what its policies forbid. Each frame has
 * a payload of its own, and the interface of the destination shows whether it arrives.
 */
@KernelTest(commands = "python3")
class PolicyEvasionTest {
  private static final String DENY_DB =
      """
      [{ "name": "db", "podSelector": { "matchLabels": { "app": "db" } },
         "ingress": [ { "from": [ { "podSelector": { "matchLabels": { "app": "web" } } } ] } ] }]
      """;
  private static final String BROADCAST = "ff:ff:ff:ff:ff:ff";

  private final PolicyWorld world;
  private final Node web;
  private final Node db;
  private final Node mon;
  private final Node job;
  private int last;

  PolicyEvasionTest(TestHost host) throws Exception {
    world = new PolicyWorld(host);
    web = world.node("web");
    db = world.node("db");
    mon = world.node("mon");
    job = world.node("job");
  }

  @AfterEach
  void close() {
    world.close();
  }

  /** A payload that no other frame has. */
  private byte[] token() {
    return "evasion-%08d-".formatted(++last).getBytes(StandardCharsets.UTF_8);
  }

  private static InetAddress ip(String text) {
    return InetAddress.ofLiteral(text);
  }

  /** Sends frames from a node, and returns the names of those that arrive at another one. */
  private List<String> arriving(String from, String to, Map<String, byte[][]> frames)
      throws IOException, InterruptedException {
    var _ = world.tap(to).received();
    for (byte[][] each : frames.values()) {
      world.tap(from).send(each);
    }
    var _ = world.tap(from).received(); // all are sent
    Thread.sleep(200); // what is delivered in the background
    List<byte[]> received = world.tap(to).received();
    List<String> names = new ArrayList<>();
    frames.forEach(
        (name, sent) -> {
          byte[] last = sent[sent.length - 1];
          byte[] tail = Arrays.copyOfRange(last, last.length - 17, last.length);
          if (received.stream().anyMatch(frame -> Frames.contains(frame, tail))) {
            names.add(name);
          }
        });
    return names;
  }

  private Map<String, byte[][]> spoofed(Node sender, Node to) {
    Map<String, byte[][]> frames = new LinkedHashMap<>();
    String mac = world.nextHop(sender, to);
    for (boolean isV4 : new boolean[] {true, false}) {
      String version = isV4 ? " v4" : " v6";
      InetAddress target = to.address(isV4);
      List<InetAddress> sources =
          List.of(
              web.address(isV4),
              ip(isV4 ? "10.50.0.77" : "fd50::77"),
              ip(isV4 ? "192.0.2.2" : "2001:db8::2"),
              ip(isV4 ? "127.0.0.1" : "::1"),
              ip(isV4 ? "10.50.0.1" : "fd50::1"));
      for (InetAddress source : sources) {
        frames.put(
            "udp as " + source + version,
            new byte[][] {
              Frames.ip(sender.mac(), mac, Frames.udp(source, target, 4444, 80, token()))
            });
        frames.put(
            "ping as " + source + version,
            new byte[][] {Frames.ip(sender.mac(), mac, Frames.echo(source, target, 77, token()))});
        frames.put(
            "udp with the other's mac as " + source + version,
            new byte[][] {
              Frames.ip(web.mac(), mac, Frames.udp(source, target, 4444, 80, token()))
            });
      }
    }
    return frames;
  }

  @Test
  void spoofedSourcesDoNotArrive() throws Exception {
    world.apply(DENY_DB);
    Map<String, byte[][]> control = new LinkedHashMap<>();
    for (boolean isV4 : new boolean[] {true, false}) {
      control.put(
          "own " + isV4,
          new byte[][] {
            Frames.ip(
                web.mac(),
                db.mac(),
                Frames.udp(web.address(isV4), db.address(isV4), 4444, 80, token()))
          });
    }
    assertEquals(List.copyOf(control.keySet()), arriving("web", "db", control));
    assertEquals(List.of(), arriving("mon", "db", spoofed(mon, db)));
    assertEquals(List.of(), arriving("job", "db", spoofed(job, db)));
    assertEquals(List.of(), arriving("job", "web", spoofed(job, web)), "to an unrestricted one");
    assertEquals(List.of(), arriving("mon", "web", spoofed(mon, web)), "to an unrestricted one");
    TestBed.run(mon.netns(), "ip", "address", "add", "10.50.0.99/24", "dev", "eth0");
    TestBed.run(mon.netns(), "ip", "address", "add", "fd50::99/64", "dev", "eth0", "nodad");
    assertFalse(
        TestBed.tryRun(
                    mon.netns(),
                    "ping",
                    "-n",
                    "-c2",
                    "-w2",
                    "-I",
                    "10.50.0.99",
                    web.v4().getHostAddress())
                .status()
            == 0);
    assertFalse(
        TestBed.tryRun(
                    mon.netns(),
                    "ping",
                    "-n",
                    "-c2",
                    "-w2",
                    "-I",
                    "fd50::99",
                    web.v6().getHostAddress())
                .status()
            == 0);
    assertTrue(Probe.ping(mon.netns(), web.v4().getHostAddress()), "its own address works");
  }

  @Test
  void otherKindsOfFramesDoNotArrive() throws Exception {
    world.apply(DENY_DB);
    Map<String, byte[][]> frames = new LinkedHashMap<>();
    for (boolean isV4 : new boolean[] {true, false}) {
      String version = isV4 ? " v4" : " v6";
      InetAddress own = mon.address(isV4);
      InetAddress target = db.address(isV4);
      Frames.Ip datagram = Frames.udp(own, target, 4445, 80, token());
      frames.put("own address" + version, new byte[][] {Frames.ip(mon.mac(), db.mac(), datagram)});
      frames.put(
          "changed mac" + version,
          new byte[][] {
            Frames.ip("02:00:00:00:00:99", db.mac(), Frames.udp(own, target, 4446, 80, token()))
          });
      for (byte[] tag : new byte[][] {{0, 0}, {0, 5}}) {
        byte[] inner = Frames.udp(own, target, 4447, 80, token()).bytes();
        int type = isV4 ? Frames.IPV4 : Frames.IPV6;
        byte[] tagged =
            ByteBuffer.allocate(4 + inner.length)
                .put(tag)
                .putShort((short) type)
                .put(inner)
                .array();
        frames.put(
            "VLAN " + tag[1] + version,
            new byte[][] {Frames.ethernet(mon.mac(), db.mac(), Frames.VLAN, tagged)});
        frames.put(
            "provider VLAN " + tag[1] + version,
            new byte[][] {Frames.ethernet(mon.mac(), db.mac(), 0x88a8, tagged)});
      }
      Frames.Ip whole = Frames.udp(own, target, 4448, 80, token());
      frames.put(
          "fragments" + version,
          Arrays.stream(whole.fragments())
              .map(it -> Frames.ethernet(mon.mac(), db.mac(), isV4 ? 0x800 : 0x86dd, it))
              .toArray(byte[][]::new));
      frames.put(
          "second fragment alone" + version,
          new byte[][] {
            Frames.ethernet(
                mon.mac(),
                db.mac(),
                isV4 ? 0x800 : 0x86dd,
                Frames.udp(own, target, 4449, 80, token()).fragments()[1])
          });
      InetAddress many = ip(isV4 ? "224.0.0.251" : "ff02::fb");
      String group = isV4 ? "01:00:5e:00:00:fb" : "33:33:00:00:00:fb";
      frames.put(
          "multicast" + version,
          new byte[][] {Frames.ip(mon.mac(), group, Frames.udp(own, many, 5353, 5353, token()))});
      frames.put(
          "broadcast frame" + version,
          new byte[][] {
            Frames.ip(mon.mac(), BROADCAST, Frames.udp(own, target, 4450, 80, token()))
          });
    }
    frames.put(
        "broadcast",
        new byte[][] {
          Frames.ip(
              mon.mac(), BROADCAST, Frames.udp(mon.v4(), ip("10.50.0.255"), 4451, 80, token()))
        });
    frames.put(
        "link-local",
        new byte[][] {
          Frames.ip(
              mon.mac(), db.mac(), Frames.udp(linkLocal(mon), linkLocal(db), 4452, 80, token()))
        });
    frames.put(
        "link-local to a global address",
        new byte[][] {
          Frames.ip(mon.mac(), db.mac(), Frames.udp(linkLocal(mon), db.v6(), 4453, 80, token()))
        });
    frames.put(
        "global to a link-local address",
        new byte[][] {
          Frames.ip(mon.mac(), db.mac(), Frames.udp(mon.v6(), linkLocal(db), 4454, 80, token()))
        });
    for (int type : new int[] {0x8847, 0x88cc, 0x9000, 0x0100}) {
      frames.put(
          "ether type " + Integer.toHexString(type),
          new byte[][] {Frames.ethernet(mon.mac(), db.mac(), type, token())});
    }
    assertEquals(List.of(), arriving("mon", "db", frames));
    world.apply("[]");
    List<String> without = arriving("mon", "db", frames);
    assertTrue(without.contains("own address v4"), without::toString);
    assertTrue(without.contains("own address v6"), without::toString);
    assertTrue(without.contains("multicast v4"), without::toString);
    assertTrue(without.contains("link-local"), without::toString);
  }

  private static InetAddress linkLocal(Node node) throws IOException {
    String text =
        TestBed.run(
            node.netns(), "ip", "-6", "-o", "address", "show", "dev", node.link(), "scope", "link");
    return ip(text.replaceAll("(?s).*inet6 ([^/]+)/.*", "$1"));
  }

  /** Neighbours that a container announces itself as, to get their packets. */
  @Test
  void addressesOfOthersAreNotClaimed() throws Exception {
    world.apply("[]");
    Map<String, byte[][]> frames = new LinkedHashMap<>();
    for (int operation : new int[] {1, 2}) {
      for (InetAddress claimed : List.of(db.v4(), ip("10.50.0.1"), ip("10.50.0.200"))) {
        byte[] arp = Frames.arp(operation, mon.mac(), claimed, web.mac(), web.v4());
        byte[] padded = ByteBuffer.allocate(46).put(arp).array();
        System.arraycopy(token(), 0, padded, 29, 17);
        frames.put(
            "ARP " + operation + " for " + claimed,
            new byte[][] {Frames.ethernet(mon.mac(), web.mac(), Frames.ARP, padded)});
      }
    }
    for (InetAddress claimed : List.of(db.v6(), ip("fd50::1"), ip("fd50::200"))) {
      for (InetAddress source : List.of(mon.v6(), linkLocal(mon), claimed)) {
        byte[] body =
            ByteBuffer.allocate(20 + 8 + 17)
                .putInt(0x6000_0000)
                .put(claimed.getAddress())
                .put((byte) 2)
                .put((byte) 1)
                .put(Frames.mac(mon.mac()))
                .put(token())
                .array();
        frames.put(
            "NA for " + claimed + " from " + source,
            new byte[][] {
              Frames.ip(mon.mac(), web.mac(), Frames.icmpv6(source, web.v6(), 136, body))
            });
      }
    }
    byte[] advertisement =
        ByteBuffer.allocate(12 + 17).putInt(0x40000708).putLong(0).put(token()).array();
    frames.put(
        "RA",
        new byte[][] {
          Frames.ip(
              mon.mac(), web.mac(), Frames.icmpv6(linkLocal(mon), web.v6(), 134, advertisement))
        });
    byte[] redirect =
        ByteBuffer.allocate(36 + 17)
            .putInt(0)
            .put(mon.v6().getAddress())
            .put(ip("2001:db8::2").getAddress())
            .put(token())
            .array();
    frames.put(
        "redirect",
        new byte[][] {
          Frames.ip(mon.mac(), web.mac(), Frames.icmpv6(linkLocal(mon), web.v6(), 137, redirect))
        });
    assertEquals(List.of(), arriving("mon", "web", frames));
    byte[] own = Frames.arp(1, mon.mac(), mon.v4(), web.mac(), web.v4());
    byte[] padded = ByteBuffer.allocate(46).put(own).array();
    System.arraycopy(token(), 0, padded, 29, 17);
    assertEquals(
        List.of("own"),
        arriving(
            "mon",
            "web",
            Map.of(
                "own", new byte[][] {Frames.ethernet(mon.mac(), web.mac(), Frames.ARP, padded)})));
  }

  /** What a container that may send nothing sends to the host and to all. */
  @Test
  void deniedEgressReachesNeitherNeighborsNorHost() throws Exception {
    world.apply(
        """
        [{ "name": "mute", "podSelector": { "matchLabels": { "app": "mon" } },
           "policyTypes": ["Egress"] }]
        """);
    Map<String, byte[][]> frames = new LinkedHashMap<>();
    frames.put(
        "link-local",
        new byte[][] {
          Frames.ip(
              mon.mac(), web.mac(), Frames.udp(linkLocal(mon), linkLocal(web), 4452, 80, token()))
        });
    frames.put(
        "multicast v6",
        new byte[][] {
          Frames.ip(
              mon.mac(),
              "33:33:00:00:00:01",
              Frames.udp(linkLocal(mon), ip("ff02::1"), 5353, 5353, token()))
        });
    frames.put(
        "multicast v4",
        new byte[][] {
          Frames.ip(
              mon.mac(),
              "01:00:5e:00:00:fb",
              Frames.udp(mon.v4(), ip("224.0.0.251"), 5353, 5353, token()))
        });
    frames.put(
        "broadcast",
        new byte[][] {
          Frames.ip(
              mon.mac(), BROADCAST, Frames.udp(mon.v4(), ip("10.50.0.255"), 4451, 80, token()))
        });
    assertEquals(List.of(), arriving("mon", "web", frames));
    for (String address : List.of("10.50.0.1", "fd50::1", TestHost.HOST_V4, TestHost.HOST_V6)) {
      assertFalse(Probe.ping(mon.netns(), address), address);
    }
    assertFalse(Probe.ping(mon.netns(), linkLocalOfBridge() + "%eth0"));
    assertTrue(Probe.ping(web.netns(), linkLocalOfBridge() + "%eth0"));
    assertTrue(Probe.ping(world.host().netns(), mon.v4().getHostAddress()), "host to container");
    assertTrue(Probe.ping(world.host().netns(), mon.v6().getHostAddress()), "host to container");
    world.apply("[]");
    assertEquals(List.copyOf(frames.keySet()), arriving("mon", "web", frames));
  }

  private String linkLocalOfBridge() throws IOException {
    String text =
        TestBed.run(
            world.host().netns(),
            "ip",
            "-6",
            "-o",
            "address",
            "show",
            "dev",
            "br0",
            "scope",
            "link");
    return text.replaceAll("(?s).*inet6 ([^/]+)/.*", "$1");
  }
}
