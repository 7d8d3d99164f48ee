package cni.plugins.ipam.dhcp;

import cni.api.Cidr;
import cni.api.CniException;
import cni.api.Deadline;
import cni.api.Dns;
import cni.api.ErrorCode;
import cni.api.Ip;
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
final class Client6 implements Client {
  private static final byte[] SERVERS = {(byte) 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2};
  private static final int LONGEST_MESSAGE = 65535;
  private static final int SLICE_MILLIS = 200;
  private static final int RELEASE_TRIES = 2;
  private static final int REQUEST_TRIES = 4;
  private static final Duration RELEASE_PATIENCE = Duration.ofSeconds(1);

  /** IAID, T1, T2. */
  private static final int IA_HEAD = 12;

  /** Address, preferred and valid lifetime. */
  private static final int ADDRESS_HEAD = 24;

  /** One identity association for each interface, and a DUID for each is enough of a number. */
  private static final int IAID = 1;

  private final byte[] duid;
  private final Duration longestPause;
  private final DatagramSocket socket;
  private final InetSocketAddress servers;
  private final long begun = System.nanoTime();

  /**
   * A client on an interface.
   *
   * @param source the interface's link-local address
   * @param clientId what stands behind the DUID
   * @param longestPause between two tries
   * @throws IOException if the interface cannot be used
   */
  Client6(AttachedLink link, Inet6Address source, String clientId, Duration longestPause)
      throws IOException {
    this.duid = duid(clientId);
    this.longestPause = longestPause;
    InetAddress everybody = Inet6Address.getByAddress(null, SERVERS, link.index());
    this.servers = new InetSocketAddress(everybody, Message6.SERVER_PORT);
    this.socket =
        link.netns()
            .<DatagramSocket, IOException>call(
                () -> new DatagramSocket(new InetSocketAddress(source, Message6.CLIENT_PORT)));
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
    var pace = new Pace(deadline, longestPause);
    var refusal = new Refusal();
    try {
      while (true) {
        int xid = ThreadLocalRandom.current().nextInt();
        Optional<Message6> offer = Optional.empty();
        while (offer.isEmpty()) {
          Message6 solicit = message(Message6.SOLICIT, xid, "", wish);
          offer = ask(solicit, Message6.ADVERTISE, pace.next(what), refusal::passes);
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
              "no DHCPv6 server granted an address in time" + refusal.lastWord,
              e)
          : e;
    }
  }

  private Optional<Binding> request(Message6 offer, Pace pace, String what, Refusal refusal)
      throws CniException, IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    try {
      List<InetAddress> offered = binding(offer).addresses();
      for (int i = 0; i < REQUEST_TRIES; i++) {
        Message6 request = message(Message6.REQUEST, xid, offer.server(), offered);
        Optional<Message6> reply = ask(request, Message6.REPLY, pace.next(what), it -> true);
        if (reply.isPresent()) {
          return Optional.of(binding(reply.get()));
        }
      }
    } catch (RefusedException e) {
      refusal.remember(e);
      pause(pace.next(what)); // it has answered at once, and would again
    }
    return Optional.empty();
  }

  /** Offers without addresses are passed over: another server may have some (RFC 8415, 18.2.9). */
  private static final class Refusal {
    private String lastWord = "";

    boolean passes(Message6 offer) {
      try {
        binding(offer);
        return true;
      } catch (RefusedException e) {
        remember(e);
        return false;
      }
    }

    void remember(RefusedException e) {
      lastWord = "; a server's last word was: " + e.getMessage();
    }
  }

  private static void pause(Duration time) throws CniException {
    try {
      Thread.sleep(time);
    } catch (InterruptedException e) {
      throw CniException.interrupted("waiting for a DHCPv6 server");
    }
  }

  private Message6 message(int type, int xid, String server, List<InetAddress> addresses) {
    List<Message6.Option> options = new ArrayList<>();
    options.add(new Message6.Option(Message6.CLIENT_ID, duid));
    if (!server.isEmpty()) {
      options.add(new Message6.Option(Message6.SERVER_ID, HexFormat.of().parseHex(server)));
    }
    long hundredths = Duration.ofNanos(System.nanoTime() - begun).toMillis() / 10;
    options.add(
        new Message6.Option(
            Message6.ELAPSED_TIME,
            ByteBuffer.allocate(2).putShort((short) Math.min(0xffff, hundredths)).array()));
    List<Message6.Option> inner =
        addresses.stream()
            .map(
                it ->
                    new Message6.Option(
                        Message6.IA_ADDRESS,
                        ByteBuffer.allocate(ADDRESS_HEAD).put(it.getAddress()).array()))
            .toList();
    byte[] head = ByteBuffer.allocate(IA_HEAD).putInt(IAID).array();
    options.add(Message6.Option.of(Message6.IA_NA, head, inner));
    if (type != Message6.RELEASE) {
      options.add(
          new Message6.Option(
              Message6.OPTION_REQUEST,
              ByteBuffer.allocate(4)
                  .putShort((short) Message6.DNS_SERVERS)
                  .putShort((short) Message6.DOMAIN_LIST)
                  .array()));
    }
    return new Message6(type, xid, options);
  }

  /** Sends a message to every server; those that it is not for keep silent. */
  private Optional<Message6> ask(
      Message6 question, int answerType, Duration patience, Predicate<Message6> condition)
      throws CniException, IOException {
    byte[] bytes = question.encode();
    socket.send(new DatagramPacket(bytes, bytes.length, servers));
    Deadline until = Deadline.after(patience);
    var packet = new DatagramPacket(new byte[LONGEST_MESSAGE], LONGEST_MESSAGE);
    while (!until.remaining().isZero()) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for a DHCPv6 server");
      }
      long left = Math.max(1, until.remaining().toMillis());
      socket.setSoTimeout((int) Math.min(left, SLICE_MILLIS));
      try {
        packet.setLength(LONGEST_MESSAGE);
        socket.receive(packet);
      } catch (SocketTimeoutException e) {
        continue;
      }
      Optional<Message6> answer =
          Message6.decode(ByteBuffer.wrap(packet.getData(), 0, packet.getLength()).slice())
              .filter(it -> it.type() == answerType && it.xid() == question.xid())
              .filter(this::isForUs)
              .filter(condition);
      if (answer.isPresent()) {
        return answer;
      }
    }
    return Optional.empty();
  }

  private boolean isForUs(Message6 message) {
    return !message.server().isEmpty()
        && message
            .find(Message6.CLIENT_ID)
            .filter(option -> Arrays.equals(option.value(), duid))
            .isPresent();
  }

  private static Binding binding(Message6 message) throws RefusedException {
    requireSuccess(message.options());
    Message6.Option association =
        message
            .find(Message6.IA_NA)
            .filter(option -> option.value().length >= IA_HEAD)
            .orElseThrow(
                () -> new RefusedException("the server's answer has no addresses (IA_NA)"));
    List<Message6.Option> inner = association.inner(IA_HEAD);
    requireSuccess(inner);
    List<Result.IpConfig> ips = new ArrayList<>();
    long preferred = Binding.FOREVER;
    long valid = Binding.FOREVER;
    for (Message6.Option option : inner) {
      if (option.code() != Message6.IA_ADDRESS || option.value().length < ADDRESS_HEAD) {
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
        var cidr = new Cidr(Ip.of(address), 128);
        ips.add(new Result.IpConfig(cidr, Optional.empty(), OptionalInt.empty()));
      }
    }
    if (ips.isEmpty()) {
      throw new RefusedException("the server gave no address");
    }
    ByteBuffer head = ByteBuffer.wrap(association.value());
    long t1 = Integer.toUnsignedLong(head.getInt(4));
    long t2 = Integer.toUnsignedLong(head.getInt(8));
    // Where the server leaves it to the client: RFC 8415, 14.2.
    return Binding.of(
        new Result(List.of(), ips, List.of(), dns(message)),
        message.server(),
        t1 == 0 ? preferred / 2 : t1,
        t2 == 0 ? preferred * 4 / 5 : t2,
        valid);
  }

  private static void requireSuccess(List<Message6.Option> options) throws RefusedException {
    int status = Message6.status(options);
    if (status != 0) {
      throw new RefusedException(
          switch (status) {
            case Message6.NO_ADDRESSES -> "the server has no addresses left (NoAddrsAvail)";
            case Message6.NO_BINDING -> "the server does not know the binding (NoBinding)";
            default -> "the server refused with status " + status;
          });
    }
  }

  private static Dns dns(Message6 message) {
    List<String> servers = new ArrayList<>();
    byte[] value = message.find(Message6.DNS_SERVERS).map(it -> it.value()).orElse(new byte[0]);
    for (int at = 0; at + 16 <= value.length; at += 16) {
      servers.add(Ip.format(Ip.of(Arrays.copyOfRange(value, at, at + 16))));
    }
    return new Dns(servers, "", domains(message), List.of());
  }

  /** Names as DNS encodes them, uncompressed (RFC 8415, section 10). */
  private static List<String> domains(Message6 message) {
    byte[] value = message.find(Message6.DOMAIN_LIST).map(it -> it.value()).orElse(new byte[0]);
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
  public Optional<Binding> extend(Binding binding, boolean anyServer, Duration patience)
      throws IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    Message6 question =
        anyServer
            ? message(Message6.REBIND, xid, "", binding.addresses())
            : message(Message6.RENEW, xid, binding.server(), binding.addresses());
    try {
      Optional<Message6> reply = ask(question, Message6.REPLY, patience, it -> true);
      return reply.isEmpty() ? Optional.empty() : extended(reply.get(), binding);
    } catch (CniException e) {
      throw new IOException(e);
    }
  }

  /**
   * Only a server that does not know the addresses or takes one back has the last word; whatever
   * else one answers, the addresses are good until their time is over (RFC 8415, 18.2.10.1).
   */
  private static Optional<Binding> extended(Message6 reply, Binding binding)
      throws RefusedException {
    List<Message6.Option> inner =
        reply.find(Message6.IA_NA).map(it -> it.inner(IA_HEAD)).orElse(List.of());
    boolean unknown = Message6.status(inner) == Message6.NO_BINDING;
    try {
      Binding extended = binding(reply);
      return extended.addresses().containsAll(binding.addresses())
          ? Optional.of(extended)
          : Optional.empty();
    } catch (RefusedException e) {
      boolean takenBack = inner.stream().anyMatch(it -> it.code() == Message6.IA_ADDRESS);
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
      for (int i = 0; i < RELEASE_TRIES; i++) {
        Message6 release = message(Message6.RELEASE, xid, binding.server(), binding.addresses());
        if (ask(release, Message6.REPLY, RELEASE_PATIENCE, it -> true).isPresent()) {
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
