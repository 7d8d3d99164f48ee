// SPDX-License-Identifier: Apache-2.0
package cni.plugins.ipam.dhcp;

import cni.api.CniException;
import cni.api.Deadline;
import cni.api.ErrorCode;
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
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;

/**
 * The client of DHCPv6 (RFC 8415): addresses for one IA_NA. Addresses have a prefix length of 128,
 * because on-link prefixes and default routers are learned by the kernel from router advertisements
 * and are not part of DHCPv6.
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

  /** Every attachment has its own DUID and one identity association, so one id is enough. */
  private static final int IAID = 1;

  private final byte[] duid;
  private final Duration maxRetransmitDelay;
  private final DatagramSocket socket;
  private final InetSocketAddress servers;
  private final long startNanos = System.nanoTime();

  /**
   * Opens a client on an interface.
   *
   * @param source the interface's link-local address
   * @param clientId the client identifier that the DUID is derived from
   * @param maxRetransmitDelay the longest delay between two messages
   * @throws IOException if the socket cannot be opened
   */
  Dhcpv6Client(
      ContainerLink link, Inet6Address source, String clientId, Duration maxRetransmitDelay)
      throws IOException {
    this.duid = duid(clientId);
    this.maxRetransmitDelay = maxRetransmitDelay;
    InetAddress group =
        Inet6Address.getByAddress(null, ALL_DHCP_RELAY_AGENTS_AND_SERVERS, link.index());
    this.servers = new InetSocketAddress(group, Dhcpv6Message.SERVER_PORT);
    this.socket =
        link.netns()
            .<DatagramSocket, IOException>call(
                () -> new DatagramSocket(new InetSocketAddress(source, Dhcpv6Message.CLIENT_PORT)));
  }

  /** Returns a DUID-UUID (RFC 6355) that depends on the attachment, not on a hardware address. */
  private static byte[] duid(String clientId) {
    UUID uuid = UUID.nameUUIDFromBytes(clientId.getBytes(StandardCharsets.UTF_8));
    return ByteBuffer.allocate(18)
        .putShort((short) 4)
        .putLong(uuid.getMostSignificantBits())
        .putLong(uuid.getLeastSignificantBits())
        .array();
  }

  @Override
  public Binding acquire(List<InetAddress> preferred, Deadline deadline)
      throws CniException, IOException {
    String what = "a DHCPv6 server granted an address";
    var timer = new RetransmitTimer(deadline, maxRetransmitDelay);
    var refusal = new LastRefusal();
    try {
      while (true) {
        int xid = ThreadLocalRandom.current().nextInt();
        Optional<Dhcpv6Message> offer = Optional.empty();
        while (offer.isEmpty()) {
          Dhcpv6Message solicit = message(Dhcpv6Message.SOLICIT, xid, "", preferred);
          offer =
              exchange(solicit, Dhcpv6Message.ADVERTISE, timer.nextDelay(what), refusal::accepts);
        }
        Optional<Binding> granted = request(offer.get(), timer, what, refusal);
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
      Dhcpv6Message offer, RetransmitTimer timer, String what, LastRefusal refusal)
      throws CniException, IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    try {
      List<InetAddress> offered = new Dhcpv6Reply(offer).binding().addresses();
      for (int i = 0; i < REQUEST_ATTEMPTS; i++) {
        Dhcpv6Message request = message(Dhcpv6Message.REQUEST, xid, offer.serverDuid(), offered);
        Optional<Dhcpv6Message> reply =
            exchange(request, Dhcpv6Message.REPLY, timer.nextDelay(what), it -> true);
        if (reply.isPresent()) {
          return Optional.of(new Dhcpv6Reply(reply.get()).binding());
        }
      }
    } catch (LeaseRefusedException e) {
      refusal.remember(e);
      pause(timer.nextDelay(what)); // the server would refuse again at once
    }
    return Optional.empty();
  }

  /**
   * The last refusal, for the error message. Advertisements without addresses are ignored, because
   * another server may have some (RFC 8415, section 18.2.9).
   */
  private static final class LastRefusal {
    private String message = "";

    boolean accepts(Dhcpv6Message offer) {
      try {
        new Dhcpv6Reply(offer).binding();
        return true;
      } catch (LeaseRefusedException e) {
        remember(e);
        return false;
      }
    }

    void remember(LeaseRefusedException e) {
      message = "; the last refusal was: " + e.getMessage();
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
                        ByteBuffer.allocate(Dhcpv6Reply.IA_ADDRESS_HEADER)
                            .put(it.getAddress())
                            .array()))
            .toList();
    byte[] head = ByteBuffer.allocate(Dhcpv6Reply.IA_NA_HEADER).putInt(IAID).array();
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

  /**
   * Multicasts a message and waits for a matching reply. Servers ignore messages that carry another
   * server's identifier.
   *
   * @return absent after the timeout
   */
  private Optional<Dhcpv6Message> exchange(
      Dhcpv6Message request, int replyType, Duration timeout, Predicate<Dhcpv6Message> condition)
      throws CniException, IOException {
    byte[] bytes = request.encode();
    socket.send(new DatagramPacket(bytes, bytes.length, servers));
    Deadline deadline = Deadline.after(timeout);
    var packet = new DatagramPacket(new byte[MAX_MESSAGE_SIZE], MAX_MESSAGE_SIZE);
    while (!deadline.remaining().isZero()) {
      if (Thread.currentThread().isInterrupted()) {
        throw CniException.interrupted("waiting for a DHCPv6 server");
      }
      long left = Math.max(1, deadline.remaining().toMillis());
      socket.setSoTimeout((int) Math.min(left, POLL_MILLIS));
      try {
        packet.setLength(MAX_MESSAGE_SIZE);
        socket.receive(packet);
      } catch (SocketTimeoutException e) {
        continue;
      }
      Optional<Dhcpv6Message> reply =
          Dhcpv6Message.decode(ByteBuffer.wrap(packet.getData(), 0, packet.getLength()).slice())
              .filter(it -> it.type() == replyType && it.xid() == request.xid())
              .filter(this::isForThisClient)
              .filter(condition);
      if (reply.isPresent()) {
        return reply;
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

  @Override
  public Optional<Binding> renew(Binding binding, boolean anyServer, Duration timeout)
      throws IOException {
    int xid = ThreadLocalRandom.current().nextInt();
    Dhcpv6Message request =
        anyServer
            ? message(Dhcpv6Message.REBIND, xid, "", binding.addresses())
            : message(Dhcpv6Message.RENEW, xid, binding.server(), binding.addresses());
    try {
      Optional<Dhcpv6Message> reply = exchange(request, Dhcpv6Message.REPLY, timeout, it -> true);
      return reply.isEmpty()
          ? Optional.empty()
          : new Dhcpv6Reply(reply.get()).renewedBinding(binding);
    } catch (CniException e) {
      throw new IOException(e);
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
