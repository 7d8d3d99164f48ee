"""Sends frames of a container that tries to evade policies, one of each kind.

Arguments: the link, the hardware address of the receiver. The frames come from the hardware
address 02:00:00:00:00:77. The container's addresses are 10.9.0.2 and fd09::2, the receiver's
10.9.0.3 and fd09::3.
"""

import socket
import sys

RECEIVER = bytes.fromhex(sys.argv[2].replace(":", ""))
SENDER = bytes.fromhex("020000000077")
HEADER = RECEIVER + SENDER


def checksum(data):
    total = sum(data[i] << 8 | data[i + 1] for i in range(0, len(data), 2))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return (~total & 0xFFFF).to_bytes(2, "big")


def ipv4(source):
    """A UDP datagram without content."""
    header = bytes.fromhex("4500001c0000400040110000")
    header += socket.inet_aton(source) + socket.inet_aton("10.9.0.3")
    header = header[:10] + checksum(header) + header[12:]
    return bytes.fromhex("0800") + header + bytes.fromhex("c000003500080000")


def arp(sender):
    hardware = bytes.fromhex("0806" + "0001080006040002")
    return hardware + SENDER + socket.inet_aton(sender) + RECEIVER + socket.inet_aton("10.9.0.3")


def icmpv6(kind, source, target):
    """A message of neighbor discovery."""
    addresses = socket.inet_pton(socket.AF_INET6, source)
    addresses += socket.inet_pton(socket.AF_INET6, "fd09::3")
    message = bytes([kind, 0, 0, 0]) + bytes(4) + socket.inet_pton(socket.AF_INET6, target)
    pseudo = addresses + len(message).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    message = message[:2] + checksum(pseudo + message) + message[4:]
    header = bytes.fromhex("60000000") + len(message).to_bytes(2, "big") + bytes([58, 255])
    return bytes.fromhex("86dd") + header + addresses + message


FRAMES = [
    # allowed
    arp("10.9.0.2"),
    icmpv6(136, "fd09::2", "fd09::2"),
    # other protocols than IP and ARP
    bytes.fromhex("81000005") + ipv4("10.9.0.2"),
    bytes.fromhex("88a8000581000005") + ipv4("10.9.0.2"),
    bytes.fromhex("88b5") + bytes(46),
    bytes.fromhex("002e") + bytes(46),
    # addresses of others, or of none
    ipv4("10.9.0.99"),
    ipv4("0.0.0.0"),
    arp("10.9.0.1"),
    icmpv6(136, "fd09::2", "fd09::1"),
    icmpv6(136, "fe80::1234", "fd09::1"),
    icmpv6(135, "fd09::99", "fd09::3"),
    # what a router sends
    icmpv6(134, "fe80::1234", "::"),
    icmpv6(137, "fe80::1234", "fd09::1"),
]

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
link.bind((sys.argv[1], 0))
for frame in FRAMES:
    link.send((HEADER + frame).ljust(60, b"\0"))
print(len(FRAMES))
