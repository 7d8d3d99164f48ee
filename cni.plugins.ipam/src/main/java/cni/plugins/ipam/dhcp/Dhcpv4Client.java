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

/** The client's side of DHCP, RFC 2131. */
final class Dhcpv4Client implements DhcpClient {
  private static final InetAddress LIMITED_BROADCAST =
      InetAddresses.of(new byte[] {-1, -1, -1, -1});
  private static final int MAX_MESSAGE_SIZE = 1500;
  private static final long DEFAULT_LEASE_SECONDS = 3600;

  /** No type of messages. */
  private static final int NO_TYPE = -1;

  /** How long a single wait may take, so that an interrupt is seen. */
  private static final Duration POLL_INTERVAL = Duration.ofMillis(200);

  private final NetNs netns;
  private final String mac;
  private final boolean broadcast;
  private final byte[] clientId;
  private final DhcpClientOptions options;
  private final Duration maxRetransmitDelay;
  private final PacketSocket socket;
  private final long startNanos = System.nanoTime();

  /**
   * A client on an interface that is up.
   *
   * @param clientId what the server knows it by (option 61)
   * @param longestPause between two tries
   * @throws IOException if the interface cannot be listened to
   */
  Dhcpv4Client(
      ContainerLink link, String clientId, DhcpClientOptions options, Duration longestPause)
      throws IOException {
    this.netns = link.netns();
    this.mac = link.mac();
    this.broadcast = link.sharesMac();
    this.options = options;
    this.clientId =
        options
            .provided()
            .getOrDefault(DhcpClientOptions.CLIENT_IDENTIFIER, clientIdentifier(clientId));
    this.maxRetransmitDelay = longestPause;
    this.socket = PacketSocket.open(netns, link.index(), Dhcpv4Message.CLIENT_PORT);
  }

  /** Type 0: it is no hardware address (RFC 2132, 9.14). */
  private static byte[] clientIdentifier(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(bytes.length, 254);
    return ByteBuffer.allocate(1 + length).put(1, bytes, 0, length).array();
  }

  @Override
  public Binding acquire(List<InetAddress> wish, Deadline deadline)
      throws CniException, IOException {
    String what = "a DHCP server granted an address";
    String refusal = "";
    boolean refused = false;
    var pace = new RetransmitTimer(deadline, maxRetransmitDelay);
    while (true) {
      int xid = ThreadLocalRandom.current().nextInt();
      Map<Integer, byte[]> discover = new LinkedHashMap<>();
      wish.stream()
          .findFirst()
          .ifPresent(it -> discover.put(Dhcpv4Message.REQUESTED_ADDRESS, it.getAddress()));
      try {
        if (refused) {
          await(xid, pace.nextDelay(what), NO_TYPE); // it has answered at once, and would again
          refused = false;
        }
        broadcast(message(Dhcpv4Message.DISCOVER, xid, Dhcpv4Message.UNSPECIFIED, discover));
        Optional<Dhcpv4Message> offer = await(xid, pace.nextDelay(what), Dhcpv4Message.OFFER);
        if (offer.isPresent()) {
          Optional<Dhcpv4Message> ack = request(xid, offer.get(), pace.nextDelay(what));
          if (ack.filter(it -> it.yourAddress().equals(offer.get().yourAddress())).isPresent()) {
            return binding(ack.get());
          }
        }
      } catch (LeaseRefusedException e) {
        refusal = "; a server's last word was: " + e.getMessage();
        refused = true;
      } catch (CniException e) {
        throw e.is(ErrorCode.TRY_AGAIN_LATER) && !Thread.currentThread().isInterrupted()
            ? new CniException(
                ErrorCode.TRY_AGAIN_LATER,
                "no DHCP server granted an address in time: none answered, or its addresses are all"
                    + " in use"
                    + refusal,
                e)
            : e;
      }
    }
  }

  private Optional<Dhcpv4Message> request(int xid, Dhcpv4Message offer, Duration patience)
      throws CniException, IOException {
    Map<Integer, byte[]> request = new LinkedHashMap<>();
    request.put(Dhcpv4Message.REQUESTED_ADDRESS, offer.yourAddress().getAddress());
    request.put(
        Dhcpv4Message.SERVER_IDENTIFIER,
        offer.options().getOrDefault(Dhcpv4Message.SERVER_IDENTIFIER, new byte[0]));
    broadcast(message(Dhcpv4Message.REQUEST, xid, Dhcpv4Message.UNSPECIFIED, request));
    return await(xid, patience, Dhcpv4Message.ACK);
  }

  private Dhcpv4Message message(int type, int xid, InetAddress client, Map<Integer, byte[]> own) {
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
    all.putAll(own);
    int secs = (int) Duration.ofNanos(System.nanoTime() - startNanos).toSeconds();
    return new Dhcpv4Message(
        false, xid, secs, broadcast, client, Dhcpv4Message.UNSPECIFIED, mac, all);
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

  /** Waits for an answer of that type. */
  private Optional<Dhcpv4Message> await(int xid, Duration patience, int type)
      throws CniException, IOException {
    Deadline until = Deadline.after(patience);
    while (!until.remaining().isZero()) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for a DHCP server");
      }
      Duration left = until.remaining();
      Optional<Dhcpv4Message> answer =
          socket
              .receive(left.compareTo(POLL_INTERVAL) < 0 ? left : POLL_INTERVAL)
              .flatMap(UdpDatagram::decode)
              .flatMap(datagram -> Dhcpv4Message.decode(datagram.payload()))
              .filter(it -> isAnswer(it, xid));
      if (answer.isPresent() && accepts(answer.get(), type)) {
        return answer;
      }
    }
    return Optional.empty();
  }

  private boolean isAnswer(Dhcpv4Message message, int xid) {
    return message.isReply() && message.xid() == xid && message.mac().equals(mac);
  }

  private static boolean accepts(Dhcpv4Message answer, int type) throws LeaseRefusedException {
    if (answer.type() == Dhcpv4Message.NAK && type == Dhcpv4Message.ACK) {
      String text =
          new String(
              answer.options().getOrDefault(Dhcpv4Message.MESSAGE, new byte[0]),
              StandardCharsets.UTF_8);
      throw new LeaseRefusedException(
          "the server refused (DHCPNAK)" + (text.isEmpty() ? "" : ": " + text));
    }
    // An offer has to say by whom, to be asked for.
    boolean whole =
        type != Dhcpv4Message.OFFER
            || (!answer.addresses(Dhcpv4Message.SERVER_IDENTIFIER).isEmpty()
                && !answer.yourAddress().isAnyLocalAddress());
    return answer.type() == type && whole;
  }

  private static Binding binding(Dhcpv4Message ack) throws CniException {
    List<InetAddress> masks = ack.addresses(DhcpClientOptions.SUBNET_MASK);
    if (masks.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the DHCP server told no subnet mask (option 1); it has to be configured there, and asked"
              + " for by ipam.request");
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
  public Optional<Binding> renew(Binding binding, boolean anyServer, Duration patience)
      throws IOException {
    InetAddress address = binding.addresses().getFirst();
    int xid = ThreadLocalRandom.current().nextInt();
    Dhcpv4Message request = message(Dhcpv4Message.REQUEST, xid, address, Map.of());
    try {
      Optional<Dhcpv4Message> ack = Optional.empty();
      if (anyServer || binding.server().isEmpty()) {
        broadcast(request);
        ack = await(xid, patience, Dhcpv4Message.ACK);
      } else {
        ack = exchangeUnicast(request, address, InetAddresses.parse(binding.server()), patience);
      }
      if (ack.isEmpty()) {
        return Optional.empty();
      }
      if (!ack.get().yourAddress().equals(address)) {
        throw new LeaseRefusedException(
            "the server gave another address, " + InetAddresses.format(ack.get().yourAddress()));
      }
      return Optional.of(binding(ack.get()));
    } catch (CniException e) {
      throw new IOException(e);
    }
  }

  /**
   * The one server is asked as any host asks another, from the address itself. The answer is heard
   * on the other socket: a refusal is sent to everybody. This one stays open meanwhile, so that the
   * kernel does not tell the server that nobody listens.
   */
  private Optional<Dhcpv4Message> exchangeUnicast(
      Dhcpv4Message request, InetAddress from, InetAddress server, Duration patience)
      throws CniException, IOException {
    try (DatagramSocket own = openBoundSocket(from)) {
      byte[] bytes = request.encode();
      own.send(new DatagramPacket(bytes, bytes.length, server, Dhcpv4Message.SERVER_PORT));
      return await(request.xid(), patience, Dhcpv4Message.ACK);
    } catch (LeaseRefusedException e) {
      throw e;
    } catch (IOException e) { // nobody there, or the address is gone
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
    Map<Integer, byte[]> own = Map.of(Dhcpv4Message.SERVER_IDENTIFIER, server.getAddress());
    int xid = ThreadLocalRandom.current().nextInt();
    byte[] bytes = message(Dhcpv4Message.RELEASE, xid, address, own).encode();
    try (DatagramSocket socket4 = openBoundSocket(address)) {
      socket4.send(new DatagramPacket(bytes, bytes.length, server, Dhcpv4Message.SERVER_PORT));
    } catch (IOException e) {
      // The interface does not have the address, or not yet: to everybody's hardware, then.
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
