package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.InetAddresses;
import cni.api.Result;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;

/**
 * The client's side of DHCPv6, RFC 8415: addresses for one IA_NA. How far the network of an address
 * reaches and by what router it is left, routers advertise and the kernel learns; a server does not
 * tell. Each address is therefore one of 128 bits.
 */
final class Dhcpv6Client implements DhcpClient {
  private static final byte[] ALL_DHCP_RELAY_AGENTS_AND_SERVERS = {
    (byte) 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2
  };
  private static final int MAX_MESSAGE_SIZE = 65535;
  private static final int POLL_MILLIS = 200;
  private static final int RELEASE_ATTEMPTS = 2;
  private static final int REQUEST_ATTEMPTS = 4;
  private static final Duration RELEASE_TIMEOUT = Duration.ofSeconds(1);

  /** IAID, T1, T2. */
  private static final int IA_NA_HEADER = 12;

  /** Address, preferred and valid lifetime. */
  private static final int IA_ADDRESS_HEADER = 24;

  /** One identity association for each interface, and a DUID for each is enough of a number. */
  private static final int IAID = 1;

  private final byte[] duid;
  private final Duration maxRetransmitDelay;
  private final DatagramSocket socket;
  private final InetSocketAddress servers;
  private final long startNanos = System.nanoTime();

  /**
   * A client on an interface.
   *
   * @param source the interface's link-local address
   * @param clientId what stands behind the DUID
   * @param longestPause between two tries
   * @throws IOException if the interface cannot be used
   */
  Dhcpv6Client(ContainerLink link, Inet6Address source, String clientId, Duration longestPause)
      throws IOException {
    this.duid = duid(clientId);
    this.maxRetransmitDelay = longestPause;
    InetAddress everybody =
        Inet6Address.getByAddress(null, ALL_DHCP_RELAY_AGENTS_AND_SERVERS, link.index());
    this.servers = new InetSocketAddress(everybody, Dhcpv6Message.SERVER_PORT);
    this.socket =
        link.netns()
            .<DatagramSocket, IOException>call(
                () -> new DatagramSocket(new InetSocketAddress(source, Dhcpv6Message.CLIENT_PORT)));
  }

  /** DUID-UUID (RFC 6355): the same for the same attachment, whatever hardware address it has. */
  private static byte[] duid(String clientId) {
    UUID uuid = UUID.nameUUIDFromBytes(clientId.getBytes(StandardCharsets.UTF_8));
    return ByteBuffer.allocate(18)
        .putShort((short) 4)
        .putLong(uuid.getMostSignificantBits())
        .putLong(uuid.getLeastSignificantBits())
        .array();
  }

  @Override
  public Binding acquire(List<InetAddress> wish, Deadline deadline)
      throws CniException, IOException {
    String what = "a DHCPv6 server granted an address";
    var pace = new RetransmitTimer(deadline, maxRetransmitDelay);
    var refusal = new LastRefusal();
    try {
      while (true) {
        int xid = ThreadLocalRandom.current().nextInt();
        Optional<Dhcpv6Message> offer = Optional.empty();
        while (offer.isEmpty()) {
          Dhcpv6Message solicit = message(Dhcpv6Message.SOLICIT, xid, "", wish);
          offer =
              exchange(solicit, Dhcpv6Message.ADVERTISE, pace.nextDelay(what), refusal::accepts);
        }
        Optional<Binding> granted = request(offer.get(), pace, what, refusal);
        if (granted.isPresent()) {
          return granted.get();
        }
      }
    } catch (CniException e) {
      throw e.is(ErrorCode.TRY_AGAIN_LATER) && !Thread.currentThread().isInterrupted()
          ? new CniException(
              ErrorCode.TRY_AGAIN_LATER,
              "no DHCPv6 server granted an address in time" + refusal.message,
              e)
          : e;
    }
  }

  private Optional<Binding> request(
      Dhcpv6Message offer, RetransmitTimer pace, String what, LastRefusal refusal)
      throws CniException, IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    try {
      List<InetAddress> offered = binding(offer).addresses();
      for (int i = 0; i < REQUEST_ATTEMPTS; i++) {
        Dhcpv6Message request = message(Dhcpv6Message.REQUEST, xid, offer.serverDuid(), offered);
        Optional<Dhcpv6Message> reply =
            exchange(request, Dhcpv6Message.REPLY, pace.nextDelay(what), it -> true);
        if (reply.isPresent()) {
          return Optional.of(binding(reply.get()));
        }
      }
    } catch (LeaseRefusedException e) {
      refusal.remember(e);
      pause(pace.nextDelay(what)); // it has answered at once, and would again
    }
    return Optional.empty();
  }

  /** Offers without addresses are passed over: another server may have some (RFC 8415, 18.2.9). */
  private static final class LastRefusal {
    private String message = "";

    boolean accepts(Dhcpv6Message offer) {
      try {
        binding(offer);
        return true;
      } catch (LeaseRefusedException e) {
        remember(e);
        return false;
      }
    }

    void remember(LeaseRefusedException e) {
      message = "; a server's last word was: " + e.getMessage();
    }
  }

  private static void pause(Duration time) throws CniException {
    try {
      Thread.sleep(time);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for a DHCPv6 server");
    }
  }

  private Dhcpv6Message message(int type, int xid, String server, List<InetAddress> addresses) {
    List<Dhcpv6Message.Option> options = new ArrayList<>();
    options.add(new Dhcpv6Message.Option(Dhcpv6Message.CLIENT_ID, duid));
    if (!server.isEmpty()) {
      options.add(
          new Dhcpv6Message.Option(Dhcpv6Message.SERVER_ID, HexFormat.of().parseHex(server)));
    }
    long hundredths = Duration.ofNanos(System.nanoTime() - startNanos).toMillis() / 10;
    options.add(
        new Dhcpv6Message.Option(
            Dhcpv6Message.ELAPSED_TIME,
            ByteBuffer.allocate(2).putShort((short) Math.min(0xffff, hundredths)).array()));
    List<Dhcpv6Message.Option> inner =
        addresses.stream()
            .map(
                it ->
                    new Dhcpv6Message.Option(
                        Dhcpv6Message.IA_ADDRESS,
                        ByteBuffer.allocate(IA_ADDRESS_HEADER).put(it.getAddress()).array()))
            .toList();
    byte[] head = ByteBuffer.allocate(IA_NA_HEADER).putInt(IAID).array();
    options.add(Dhcpv6Message.Option.of(Dhcpv6Message.IA_NA, head, inner));
    if (type != Dhcpv6Message.RELEASE) {
      options.add(
          new Dhcpv6Message.Option(
              Dhcpv6Message.OPTION_REQUEST,
              ByteBuffer.allocate(4)
                  .putShort((short) Dhcpv6Message.DNS_SERVERS)
                  .putShort((short) Dhcpv6Message.DOMAIN_LIST)
                  .array()));
    }
    return new Dhcpv6Message(type, xid, options);
  }

  /** Sends a message to every server; those that it is not for keep silent. */
  private Optional<Dhcpv6Message> exchange(
      Dhcpv6Message question, int answerType, Duration patience, Predicate<Dhcpv6Message> condition)
      throws CniException, IOException {
    byte[] bytes = question.encode();
    socket.send(new DatagramPacket(bytes, bytes.length, servers));
    Deadline until = Deadline.after(patience);
    var packet = new DatagramPacket(new byte[MAX_MESSAGE_SIZE], MAX_MESSAGE_SIZE);
    while (!until.remaining().isZero()) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for a DHCPv6 server");
      }
      long left = Math.max(1, until.remaining().toMillis());
      socket.setSoTimeout((int) Math.min(left, POLL_MILLIS));
      try {
        packet.setLength(MAX_MESSAGE_SIZE);
        socket.receive(packet);
      } catch (SocketTimeoutException e) {
        continue;
      }
      Optional<Dhcpv6Message> answer =
          Dhcpv6Message.decode(ByteBuffer.wrap(packet.getData(), 0, packet.getLength()).slice())
              .filter(it -> it.type() == answerType && it.xid() == question.xid())
              .filter(this::isForThisClient)
              .filter(condition);
      if (answer.isPresent()) {
        return answer;
      }
    }
    return Optional.empty();
  }

  private boolean isForThisClient(Dhcpv6Message message) {
    return !message.serverDuid().isEmpty()
        && message
            .find(Dhcpv6Message.CLIENT_ID)
            .filter(option -> Arrays.equals(option.value(), duid))
            .isPresent();
  }

  private static Binding binding(Dhcpv6Message message) throws LeaseRefusedException {
    requireSuccess(message.options());
    Dhcpv6Message.Option association =
        message
            .find(Dhcpv6Message.IA_NA)
            .filter(option -> option.value().length >= IA_NA_HEADER)
            .orElseThrow(
                () -> new LeaseRefusedException("the server's answer has no addresses (IA_NA)"));
    List<Dhcpv6Message.Option> inner = association.inner(IA_NA_HEADER);
    requireSuccess(inner);
    List<Result.IpConfig> ips = new ArrayList<>();
    long preferred = Binding.FOREVER;
    long valid = Binding.FOREVER;
    for (Dhcpv6Message.Option option : inner) {
      if (option.code() != Dhcpv6Message.IA_ADDRESS || option.value().length < IA_ADDRESS_HEADER) {
        continue;
      }
      ByteBuffer value = ByteBuffer.wrap(option.value());
      byte[] address = new byte[16];
      value.get(address);
      long itsPreferred = Integer.toUnsignedLong(value.getInt());
      long itsValid = Integer.toUnsignedLong(value.getInt());
      if (itsValid > 0) { // 0: not any more
        preferred = Math.min(preferred, itsPreferred);
        valid = Math.min(valid, itsValid);
        var cidr = Cidr.ofHost(InetAddresses.of(address));
        ips.add(new Result.IpConfig(cidr, Optional.empty(), OptionalInt.empty()));
      }
    }
    if (ips.isEmpty()) {
      throw new LeaseRefusedException("the server gave no address");
    }
    ByteBuffer head = ByteBuffer.wrap(association.value());
    long t1 = Integer.toUnsignedLong(head.getInt(4));
    long t2 = Integer.toUnsignedLong(head.getInt(8));
    // Where the server leaves it to the client: RFC 8415, 14.2.
    return Binding.of(
        new Result(List.of(), ips, List.of(), dns(message)),
        message.serverDuid(),
        t1 == 0 ? preferred / 2 : t1,
        t2 == 0 ? preferred * 4 / 5 : t2,
        valid);
  }

  private static void requireSuccess(List<Dhcpv6Message.Option> options)
      throws LeaseRefusedException {
    int status = Dhcpv6Message.status(options);
    if (status != 0) {
      throw new LeaseRefusedException(
          switch (status) {
            case Dhcpv6Message.NO_ADDRS_AVAIL -> "the server has no addresses left (NoAddrsAvail)";
            case Dhcpv6Message.NO_BINDING -> "the server does not know the binding (NoBinding)";
            default -> "the server refused with status " + status;
          });
    }
  }

  private static Dns dns(Dhcpv6Message message) {
    List<String> servers = new ArrayList<>();
    byte[] value =
        message.find(Dhcpv6Message.DNS_SERVERS).map(it -> it.value()).orElse(new byte[0]);
    for (int at = 0; at + 16 <= value.length; at += 16) {
      servers.add(InetAddresses.format(InetAddresses.of(Arrays.copyOfRange(value, at, at + 16))));
    }
    return new Dns(servers, "", domains(message), List.of());
  }

  /** Names as DNS encodes them, uncompressed (RFC 8415, section 10). */
  private static List<String> domains(Dhcpv6Message message) {
    byte[] value =
        message.find(Dhcpv6Message.DOMAIN_LIST).map(it -> it.value()).orElse(new byte[0]);
    List<String> names = new ArrayList<>();
    List<String> labels = new ArrayList<>();
    int at = 0;
    while (at < value.length) {
      int length = Byte.toUnsignedInt(value[at++]);
      if (length == 0) {
        names.add(String.join(".", labels));
        labels.clear();
      } else if (at + length > value.length) {
        break;
      } else {
        labels.add(new String(value, at, length, StandardCharsets.US_ASCII));
        at += length;
      }
    }
    return names;
  }

  @Override
  public Optional<Binding> renew(Binding binding, boolean anyServer, Duration patience)
      throws IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    Dhcpv6Message question =
        anyServer
            ? message(Dhcpv6Message.REBIND, xid, "", binding.addresses())
            : message(Dhcpv6Message.RENEW, xid, binding.server(), binding.addresses());
    try {
      Optional<Dhcpv6Message> reply = exchange(question, Dhcpv6Message.REPLY, patience, it -> true);
      return reply.isEmpty() ? Optional.empty() : renewedBinding(reply.get(), binding);
    } catch (CniException e) {
      throw new IOException(e);
    }
  }

  /**
   * Only a server that does not know the addresses or takes one back has the last word; whatever
   * else one answers, the addresses are good until their time is over (RFC 8415, 18.2.10.1).
   */
  private static Optional<Binding> renewedBinding(Dhcpv6Message reply, Binding binding)
      throws LeaseRefusedException {
    List<Dhcpv6Message.Option> inner =
        reply.find(Dhcpv6Message.IA_NA).map(it -> it.inner(IA_NA_HEADER)).orElse(List.of());
    boolean unknown = Dhcpv6Message.status(inner) == Dhcpv6Message.NO_BINDING;
    try {
      Binding extended = binding(reply);
      return extended.addresses().containsAll(binding.addresses())
          ? Optional.of(extended)
          : Optional.empty();
    } catch (LeaseRefusedException e) {
      boolean takenBack = inner.stream().anyMatch(it -> it.code() == Dhcpv6Message.IA_ADDRESS);
      if (unknown || takenBack) {
        throw e;
      }
      return Optional.empty();
    }
  }

  @Override
  public void release(Binding binding) throws IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    try {
      for (int i = 0; i < RELEASE_ATTEMPTS; i++) {
        Dhcpv6Message release =
            message(Dhcpv6Message.RELEASE, xid, binding.server(), binding.addresses());
        if (exchange(release, Dhcpv6Message.REPLY, RELEASE_TIMEOUT, it -> true).isPresent()) {
          return;
        }
      }
    } catch (CniException e) {
      throw new IOException(e);
    }
  }

  @Override
  public void close() {
    socket.close();
  }
}
