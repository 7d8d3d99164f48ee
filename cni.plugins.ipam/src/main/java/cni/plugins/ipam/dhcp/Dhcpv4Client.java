// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import cni.netlink.ffm.netns.NetNs;
import cni.netlink.ffm.packet.PacketSocket;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;

/** The client of DHCP for IPv4 (RFC 2131). */
final class Dhcpv4Client implements DhcpClient {
  private static final InetAddress LIMITED_BROADCAST =
      InetAddresses.of(new byte[] {-1, -1, -1, -1});
  private static final int MAX_MESSAGE_SIZE = 1500;
  private static final long DEFAULT_LEASE_SECONDS = 3600;

  /** Matches no message type. */
  private static final int NO_TYPE = -1;

  /** The longest wait in a system call, which bounds the reaction to an interrupt. */
  private static final Duration POLL_INTERVAL = Duration.ofMillis(200);

  private final NetNs netns;
  private final String mac;
  private final boolean wantsBroadcastReplies;
  private final byte[] clientId;
  private final DhcpClientOptions options;
  private final Duration maxRetransmitDelay;
  private final PacketSocket socket;
  private final long startNanos = System.nanoTime();

  /**
   * Opens a client on an interface that is up.
   *
   * @param clientId the client identifier (option 61), unless the options provide one
   * @param maxRetransmitDelay the longest delay between two messages
   * @throws IOException if the packet socket cannot be opened
   */
  Dhcpv4Client(
      ContainerLink link, String clientId, DhcpClientOptions options, Duration maxRetransmitDelay)
      throws IOException {
    this.netns = link.netns();
    this.mac = link.mac();
    this.wantsBroadcastReplies = link.sharesMac();
    this.options = options;
    this.clientId =
        options
            .provided()
            .getOrDefault(DhcpClientOptions.CLIENT_IDENTIFIER, clientIdentifier(clientId));
    this.maxRetransmitDelay = maxRetransmitDelay;
    this.socket = PacketSocket.open(netns, link.index(), Dhcpv4Message.CLIENT_PORT);
  }

  /** Encodes an identifier with type 0, not a hardware address (RFC 2132, section 9.14). */
  private static byte[] clientIdentifier(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, 254);
    return ByteBuffer.allocate(1 + length).put(1, bytes, 0, length).array();
  }

  @Override
  public Binding acquire(List<InetAddress> preferred, Deadline deadline)
      throws CniException, IOException {
    String what = "a DHCP server granted an address";
    String refusal = "";
    boolean refused = false;
    var timer = new RetransmitTimer(deadline, maxRetransmitDelay);
    while (true) {
      int xid = ThreadLocalRandom.current().nextInt();
      try {
        if (refused) {
          await(xid, timer.nextDelay(what), NO_TYPE); // the server would refuse again at once
          refused = false;
        }
        broadcast(discover(xid, preferred));
        Optional<Dhcpv4Message> offer = await(xid, timer.nextDelay(what), Dhcpv4Message.OFFER);
        if (offer.isPresent()) {
          Optional<Dhcpv4Message> ack = request(xid, offer.get(), timer.nextDelay(what));
          if (ack.filter(it -> it.yourAddress().equals(offer.get().yourAddress())).isPresent()) {
            return binding(ack.get());
          }
        }
      } catch (LeaseRefusedException e) {
        refusal = "; the last refusal was: " + e.getMessage();
        refused = true;
      } catch (CniException e) {
        throw e.is(ErrorCode.TRY_AGAIN_LATER) && !Thread.currentThread().isInterrupted()
            ? new CniException(
                ErrorCode.TRY_AGAIN_LATER,
                "no DHCP server granted an address in time: no server replied, or all addresses are"
                    + " in use"
                    + refusal,
                e)
            : e;
      }
    }
  }

  private Dhcpv4Message discover(int xid, List<InetAddress> preferred) {
    Map<Integer, byte[]> options =
        preferred.isEmpty()
            ? Map.of()
            : Map.of(Dhcpv4Message.REQUESTED_ADDRESS, preferred.getFirst().getAddress());
    return message(Dhcpv4Message.DISCOVER, xid, Dhcpv4Message.UNSPECIFIED, options);
  }

  private Optional<Dhcpv4Message> request(int xid, Dhcpv4Message offer, Duration timeout)
      throws CniException, IOException {
    Map<Integer, byte[]> request = new LinkedHashMap<>();
    request.put(Dhcpv4Message.REQUESTED_ADDRESS, offer.yourAddress().getAddress());
    request.put(
        Dhcpv4Message.SERVER_IDENTIFIER,
        offer.options().getOrDefault(Dhcpv4Message.SERVER_IDENTIFIER, new byte[0]));
    broadcast(message(Dhcpv4Message.REQUEST, xid, Dhcpv4Message.UNSPECIFIED, request));
    return await(xid, timeout, Dhcpv4Message.ACK);
  }

  /**
   * Composes a message.
   *
   * @param client the address that the client has configured, or 0.0.0.0
   * @param specific the options of this message, which override the common ones
   */
  private Dhcpv4Message message(
      int type, int xid, InetAddress client, Map<Integer, byte[]> specific) {
    Map<Integer, byte[]> all = new LinkedHashMap<>();
    all.put(Dhcpv4Message.MESSAGE_TYPE, new byte[] {(byte) type});
    all.put(DhcpClientOptions.CLIENT_IDENTIFIER, clientId);
    if (type != Dhcpv4Message.RELEASE) {
      all.put(
          Dhcpv4Message.MAX_MESSAGE_SIZE,
          ByteBuffer.allocate(2).putShort((short) MAX_MESSAGE_SIZE).array());
      byte[] list = new byte[options.requested().size()];
      for (int i = 0; i < list.length; i++) {
        list[i] = (byte) (int) options.requested().get(i);
      }
      if (list.length > 0) {
        all.put(Dhcpv4Message.PARAMETER_REQUEST_LIST, list);
      }
      all.putAll(options.provided());
    }
    all.putAll(specific);
    int secs = (int) Duration.ofNanos(System.nanoTime() - startNanos).toSeconds();
    return new Dhcpv4Message(
        false, xid, secs, wantsBroadcastReplies, client, Dhcpv4Message.UNSPECIFIED, mac, all);
  }

  private void broadcast(Dhcpv4Message message) throws IOException {
    socket.broadcast(
        UdpDatagram.encode(
            message.clientAddress(),
            Dhcpv4Message.CLIENT_PORT,
            LIMITED_BROADCAST,
            Dhcpv4Message.SERVER_PORT,
            message.encode()));
  }

  /**
   * Waits for a reply of a type; others are ignored.
   *
   * @return absent after the timeout
   * @throws LeaseRefusedException if a DHCPNAK arrives instead of a DHCPACK
   */
  private Optional<Dhcpv4Message> await(int xid, Duration timeout, int type)
      throws CniException, IOException {
    Deadline deadline = Deadline.after(timeout);
    while (!deadline.remaining().isZero()) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for a DHCP server");
      }
      Duration left = deadline.remaining();
      Optional<Dhcpv4Message> reply =
          socket
              .receive(left.compareTo(POLL_INTERVAL) < 0 ? left : POLL_INTERVAL)
              .flatMap(UdpDatagram::decode)
              .flatMap(datagram -> Dhcpv4Message.decode(datagram.payload()))
              .filter(it -> isReplyTo(xid, it));
      if (reply.isPresent() && accepts(reply.get(), type)) {
        return reply;
      }
    }
    return Optional.empty();
  }

  private boolean isReplyTo(int xid, Dhcpv4Message message) {
    return message.isReply() && message.xid() == xid && message.mac().equals(mac);
  }

  private static boolean accepts(Dhcpv4Message reply, int type) throws LeaseRefusedException {
    if (reply.type() == Dhcpv4Message.NAK && type == Dhcpv4Message.ACK) {
      String text =
          new String(
              reply.options().getOrDefault(Dhcpv4Message.MESSAGE, new byte[0]),
              StandardCharsets.UTF_8);
      throw new LeaseRefusedException(
          "the server refused (DHCPNAK)" + (text.isEmpty() ? "" : ": " + text));
    }
    // An offer without a server identifier cannot be requested.
    boolean isUsable =
        type != Dhcpv4Message.OFFER
            || (!reply.addresses(Dhcpv4Message.SERVER_IDENTIFIER).isEmpty()
                && !reply.yourAddress().isAnyLocalAddress());
    return reply.type() == type && isUsable;
  }

  static Binding binding(Dhcpv4Message ack) throws CniException {
    List<InetAddress> masks = ack.addresses(DhcpClientOptions.SUBNET_MASK);
    if (masks.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the DHCP server sent no subnet mask (option 1); configure it on the server, and request it"
              + " with ipam.request");
    }
    int prefix = InetAddresses.toNumber(masks.getFirst()).bitCount();
    Optional<InetAddress> gateway = ack.addresses(DhcpClientOptions.ROUTERS).stream().findFirst();
    var ip = new Result.IpConfig(new Cidr(ack.yourAddress(), prefix), gateway, OptionalInt.empty());
    Dns dns =
        new Dns(
            ack.addresses(DhcpClientOptions.DNS_SERVERS).stream()
                .map(InetAddresses::format)
                .toList(),
            text(ack, DhcpClientOptions.DOMAIN_NAME),
            List.of(),
            List.of());
    String server =
        ack.addresses(Dhcpv4Message.SERVER_IDENTIFIER).stream()
            .findFirst()
            .map(InetAddresses::format)
            .orElse("");
    return Binding.of(
        new Result(List.of(), List.of(ip), Dhcpv4Routes.of(ack), dns),
        server,
        ack.uint32(Dhcpv4Message.RENEWAL_TIME).orElse(0L),
        ack.uint32(Dhcpv4Message.REBINDING_TIME).orElse(0L),
        ack.uint32(Dhcpv4Message.LEASE_TIME).orElse(DEFAULT_LEASE_SECONDS));
  }

  private static String text(Dhcpv4Message message, int option) {
    byte[] value = message.options().getOrDefault(option, new byte[0]);
    return new String(value, StandardCharsets.US_ASCII).replace("\0", "").strip();
  }

  @Override
  public Optional<Binding> renew(Binding binding, boolean anyServer, Duration timeout)
      throws IOException {
    InetAddress address = binding.addresses().getFirst();
    int xid = ThreadLocalRandom.current().nextInt();
    Dhcpv4Message request = message(Dhcpv4Message.REQUEST, xid, address, Map.of());
    try {
      Optional<Dhcpv4Message> ack = Optional.empty();
      if (anyServer || binding.server().isEmpty()) {
        broadcast(request);
        ack = await(xid, timeout, Dhcpv4Message.ACK);
      } else {
        ack = exchangeUnicast(request, address, InetAddresses.parse(binding.server()), timeout);
      }
      if (ack.isEmpty()) {
        return Optional.empty();
      }
      if (!ack.get().yourAddress().equals(address)) {
        throw new LeaseRefusedException(
            "the server granted another address, " + InetAddresses.format(ack.get().yourAddress()));
      }
      return Optional.of(binding(ack.get()));
    } catch (CniException e) {
      throw new IOException(e);
    }
  }

  /**
   * Sends a request to one server, from the leased address, and waits for the reply. The reply is
   * received by the packet socket, since a DHCPNAK is broadcast. The UDP socket stays open until
   * then, because otherwise the kernel would answer the reply with ICMP "port unreachable".
   */
  private Optional<Dhcpv4Message> exchangeUnicast(
      Dhcpv4Message request, InetAddress from, InetAddress server, Duration timeout)
      throws CniException, IOException {
    try (DatagramSocket udpSocket = openBoundSocket(from)) {
      byte[] bytes = request.encode();
      udpSocket.send(new DatagramPacket(bytes, bytes.length, server, Dhcpv4Message.SERVER_PORT));
      return await(request.xid(), timeout, Dhcpv4Message.ACK);
    } catch (LeaseRefusedException e) {
      throw e;
    } catch (IOException e) { // the server is unreachable, or the interface has lost the address
      return Optional.empty();
    }
  }

  private DatagramSocket openBoundSocket(InetAddress address) throws IOException {
    return netns.<DatagramSocket, SocketException>call(
        () -> new DatagramSocket(new InetSocketAddress(address, Dhcpv4Message.CLIENT_PORT)));
  }

  @Override
  public void release(Binding binding) throws IOException {
    InetAddress address = binding.addresses().getFirst();
    if (binding.server().isEmpty()) {
      return;
    }
    InetAddress server = InetAddresses.parse(binding.server());
    Map<Integer, byte[]> options = Map.of(Dhcpv4Message.SERVER_IDENTIFIER, server.getAddress());
    int xid = ThreadLocalRandom.current().nextInt();
    byte[] bytes = message(Dhcpv4Message.RELEASE, xid, address, options).encode();
    try (DatagramSocket udpSocket = openBoundSocket(address)) {
      udpSocket.send(new DatagramPacket(bytes, bytes.length, server, Dhcpv4Message.SERVER_PORT));
    } catch (IOException e) {
      // The interface does not have the address (yet): broadcast on the link layer.
      socket.broadcast(
          UdpDatagram.encode(
              address, Dhcpv4Message.CLIENT_PORT, server, Dhcpv4Message.SERVER_PORT, bytes));
    }
  }

  @Override
  public void close() {
    socket.close();
  }
}
