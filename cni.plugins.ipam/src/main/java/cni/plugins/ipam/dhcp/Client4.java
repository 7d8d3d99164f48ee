package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.Ip;
import cni.api.Result;
import cni.netlink.ffm.NetNs;
import cni.netlink.ffm.PacketSocket;
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
final class Client4 implements Client {
  private static final InetAddress EVERYBODY = Ip.of(new byte[] {-1, -1, -1, -1});
  private static final int LONGEST_MESSAGE = 1500;
  private static final long DEFAULT_LEASE = 3600;

  /** No type of messages. */
  private static final int NOTHING = -1;

  /** How long a single wait may take, so that an interrupt is seen. */
  private static final Duration SLICE = Duration.ofMillis(200);

  private final NetNs netns;
  private final String mac;
  private final boolean broadcast;
  private final byte[] clientId;
  private final ClientOptions options;
  private final Duration longestPause;
  private final PacketSocket socket;
  private final long begun = System.nanoTime();

  /**
   * A client on an interface that is up.
   *
   * @param clientId what the server knows it by (option 61)
   * @param longestPause between two tries
   * @throws IOException if the interface cannot be listened to
   */
  Client4(AttachedLink link, String clientId, ClientOptions options, Duration longestPause)
      throws IOException {
    this.netns = link.netns();
    this.mac = link.mac();
    this.broadcast = link.sharesMac();
    this.options = options;
    this.clientId =
        options
            .provided()
            .getOrDefault(ClientOptions.CLIENT_IDENTIFIER, clientIdentifier(clientId));
    this.longestPause = longestPause;
    this.socket = PacketSocket.open(netns, link.index(), Message4.CLIENT_PORT);
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
    var pace = new Pace(deadline, longestPause);
    while (true) {
      int xid = ThreadLocalRandom.current().nextInt();
      Map<Integer, byte[]> discover = new LinkedHashMap<>();
      wish.stream()
          .findFirst()
          .ifPresent(it -> discover.put(Message4.REQUESTED_ADDRESS, it.getAddress()));
      try {
        if (refused) {
          await(xid, pace.next(what), NOTHING); // it has answered at once, and would again
          refused = false;
        }
        broadcast(message(Message4.DISCOVER, xid, Message4.NONE, discover));
        Optional<Message4> offer = await(xid, pace.next(what), Message4.OFFER);
        if (offer.isPresent()) {
          Optional<Message4> ack = request(xid, offer.get(), pace.next(what));
          if (ack.filter(it -> it.yours().equals(offer.get().yours())).isPresent()) {
            return binding(ack.get());
          }
        }
      } catch (RefusedException e) {
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

  private Optional<Message4> request(int xid, Message4 offer, Duration patience)
      throws CniException, IOException {
    Map<Integer, byte[]> request = new LinkedHashMap<>();
    request.put(Message4.REQUESTED_ADDRESS, offer.yours().getAddress());
    request.put(Message4.SERVER, offer.options().getOrDefault(Message4.SERVER, new byte[0]));
    broadcast(message(Message4.REQUEST, xid, Message4.NONE, request));
    return await(xid, patience, Message4.ACK);
  }

  private Message4 message(int type, int xid, InetAddress client, Map<Integer, byte[]> own) {
    Map<Integer, byte[]> all = new LinkedHashMap<>();
    all.put(Message4.TYPE, new byte[] {(byte) type});
    all.put(ClientOptions.CLIENT_IDENTIFIER, clientId);
    if (type != Message4.RELEASE) {
      all.put(Message4.MAX_SIZE, ByteBuffer.allocate(2).putShort((short) LONGEST_MESSAGE).array());
      byte[] list = new byte[options.requested().size()];
      for (int i = 0; i < list.length; i++) {
        list[i] = (byte) (int) options.requested().get(i);
      }
      if (list.length > 0) {
        all.put(Message4.PARAMETER_REQUEST, list);
      }
      all.putAll(options.provided());
    }
    all.putAll(own);
    int secs = (int) Duration.ofNanos(System.nanoTime() - begun).toSeconds();
    return new Message4(false, xid, secs, broadcast, client, Message4.NONE, mac, all);
  }

  private void broadcast(Message4 message) throws IOException {
    socket.broadcast(
        Datagram.encode(
            message.client(),
            Message4.CLIENT_PORT,
            EVERYBODY,
            Message4.SERVER_PORT,
            message.encode()));
  }

  /** Waits for an answer of that type. */
  private Optional<Message4> await(int xid, Duration patience, int type)
      throws CniException, IOException {
    Deadline until = Deadline.after(patience);
    while (!until.remaining().isZero()) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for a DHCP server");
      }
      Duration left = until.remaining();
      Optional<Message4> answer =
          socket
              .receive(left.compareTo(SLICE) < 0 ? left : SLICE)
              .flatMap(Datagram::decode)
              .flatMap(datagram -> Message4.decode(datagram.payload()))
              .filter(it -> isAnswer(it, xid));
      if (answer.isPresent() && accepts(answer.get(), type)) {
        return answer;
      }
    }
    return Optional.empty();
  }

  private boolean isAnswer(Message4 message, int xid) {
    return message.reply() && message.xid() == xid && message.mac().equals(mac);
  }

  private static boolean accepts(Message4 answer, int type) throws RefusedException {
    if (answer.type() == Message4.NAK && type == Message4.ACK) {
      String text =
          new String(
              answer.options().getOrDefault(Message4.MESSAGE, new byte[0]), StandardCharsets.UTF_8);
      throw new RefusedException(
          "the server refused (DHCPNAK)" + (text.isEmpty() ? "" : ": " + text));
    }
    // An offer has to say by whom, to be asked for.
    boolean whole =
        type != Message4.OFFER
            || (!answer.addresses(Message4.SERVER).isEmpty()
                && !answer.yours().isAnyLocalAddress());
    return answer.type() == type && whole;
  }

  private static Binding binding(Message4 ack) throws CniException {
    List<InetAddress> masks = ack.addresses(ClientOptions.SUBNET_MASK);
    if (masks.isEmpty()) {
      throw new CniException(
          ErrorCode.INVALID_CONFIG,
          "the DHCP server told no subnet mask (option 1); it has to be configured there, and asked"
              + " for by ipam.request");
    }
    int prefix = Ip.toNumber(masks.getFirst()).bitCount();
    Optional<InetAddress> gateway = ack.addresses(ClientOptions.ROUTERS).stream().findFirst();
    var ip = new Result.IpConfig(new Cidr(ack.yours(), prefix), gateway, OptionalInt.empty());
    Dns dns =
        new Dns(
            ack.addresses(ClientOptions.DNS_SERVERS).stream().map(Ip::format).toList(),
            text(ack, ClientOptions.DOMAIN_NAME),
            List.of(),
            List.of());
    String server = ack.addresses(Message4.SERVER).stream().findFirst().map(Ip::format).orElse("");
    return Binding.of(
        new Result(List.of(), List.of(ip), Routes4.of(ack), dns),
        server,
        ack.number(Message4.RENEWAL_TIME).orElse(0L),
        ack.number(Message4.REBINDING_TIME).orElse(0L),
        ack.number(Message4.LEASE_TIME).orElse(DEFAULT_LEASE));
  }

  private static String text(Message4 message, int option) {
    byte[] value = message.options().getOrDefault(option, new byte[0]);
    return new String(value, StandardCharsets.US_ASCII).replace("\0", "").strip();
  }

  @Override
  public Optional<Binding> extend(Binding binding, boolean anyServer, Duration patience)
      throws IOException {
    InetAddress address = binding.addresses().getFirst();
    int xid = ThreadLocalRandom.current().nextInt();
    Message4 request = message(Message4.REQUEST, xid, address, Map.of());
    try {
      Optional<Message4> ack = Optional.empty();
      if (anyServer || binding.server().isEmpty()) {
        broadcast(request);
        ack = await(xid, patience, Message4.ACK);
      } else {
        ack = ask(request, address, Ip.parse(binding.server()), patience);
      }
      if (ack.isEmpty()) {
        return Optional.empty();
      }
      if (!ack.get().yours().equals(address)) {
        throw new RefusedException(
            "the server gave another address, " + Ip.format(ack.get().yours()));
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
  private Optional<Message4> ask(
      Message4 request, InetAddress from, InetAddress server, Duration patience)
      throws CniException, IOException {
    try (DatagramSocket own = bound(from)) {
      byte[] bytes = request.encode();
      own.send(new DatagramPacket(bytes, bytes.length, server, Message4.SERVER_PORT));
      return await(request.xid(), patience, Message4.ACK);
    } catch (RefusedException e) {
      throw e;
    } catch (IOException e) { // nobody there, or the address is gone
      return Optional.empty();
    }
  }

  private DatagramSocket bound(InetAddress address) throws IOException {
    return netns.<DatagramSocket, SocketException>call(
        () -> new DatagramSocket(new InetSocketAddress(address, Message4.CLIENT_PORT)));
  }

  @Override
  public void release(Binding binding) throws IOException {
    InetAddress address = binding.addresses().getFirst();
    if (binding.server().isEmpty()) {
      return;
    }
    InetAddress server = Ip.parse(binding.server());
    Map<Integer, byte[]> own = Map.of(Message4.SERVER, server.getAddress());
    int xid = ThreadLocalRandom.current().nextInt();
    byte[] bytes = message(Message4.RELEASE, xid, address, own).encode();
    try (DatagramSocket socket4 = bound(address)) {
      socket4.send(new DatagramPacket(bytes, bytes.length, server, Message4.SERVER_PORT));
    } catch (IOException e) {
      // The interface does not have the address, or not yet: to everybody's hardware, then.
      socket.broadcast(
          Datagram.encode(address, Message4.CLIENT_PORT, server, Message4.SERVER_PORT, bytes));
    }
  }

  @Override
  public void close() {
    socket.close();
  }
}
