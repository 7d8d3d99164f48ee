package cni.doctor.path;

import java.net.InetAddress;

/**
 * A packet to follow.
 *
 * @param source who sends it
 * @param destination who should receive it
 * @param address the address it is sent to, one of the destination's or of the host if a port is
 *     published
 * @param protocol what is sent
 * @param port the port it is sent to; ignored if the protocol has no ports
 * @param size the length of the IP packet in bytes, which is sent with the prohibition to fragment
 *     it; 0 for a short one. TCP connection requests are always short
 * @param probe whether to send it, rather than only to look at the configuration
 */
public record PathQuery(
    PathEnd source,
    PathEnd destination,
    InetAddress address,
    ProbeProtocol protocol,
    int port,
    int size,
    boolean probe) {}
