#!/usr/bin/python3
"""Starts and stops pods through the Container Runtime Interface, as a kubelet does.

usage: cri.py [--concurrency N] --socket SOCKET start NUMBER...   starts pods
       cri.py [--concurrency N] --socket SOCKET stop NUMBER...    stops and removes pods
       cri.py --socket SOCKET list                                prints the pods' ids

Every call of the runtime is a line of JSON on standard output: the call, the pod, the attempt, the
milliseconds that it took by the monotonic clock, and its result or error. A failed call is
repeated, as a kubelet does. Pod N has a port mapping from the host's port 18000 + N to its port 7
and is limited to 10 Mbit/s in each direction.

Needs Debian's python3-grpcio. Messages are encoded here: those of runtime.v1.RuntimeService have
few fields, and generated code would be larger than this program. Field numbers are those of
https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto
"""

import argparse
import concurrent.futures
import json
import sys
import threading
import time

import grpc

SERVICE = "/runtime.v1.RuntimeService/"
ATTEMPTS = 5
CALL_TIMEOUT_S = 120
START_TIMEOUT_S = 30
FIRST_HOST_PORT = 18000
CONTAINER_PORT = 7
RATE = "10M"


def varint(value):
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def message(*fields):
    """Encodes (number, value) pairs; a value is an int, a str, or the bytes of a message."""
    encoded = b""
    for number, value in fields:
        if isinstance(value, int):
            encoded += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            encoded += varint(number << 3 | 2) + varint(len(value)) + value
    return encoded


def read_varint(data, offset):
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return value, offset


def values(data, *path):
    """Returns the values at a path of field numbers, in messages without fixed-size fields."""
    found, offset = [], 0
    while offset < len(data):
        key, offset = read_varint(data, offset)
        value, offset = read_varint(data, offset)
        if key & 7 == 2:
            value, offset = data[offset : offset + value], offset + value
        if key >> 3 == path[0]:
            found += [value] if len(path) == 1 else values(value, *path[1:])
    return found


def texts(data, *path):
    return [value.decode() for value in values(data, *path)]


def pod_name(number):
    return f"pod{number}"


def pod_config(number, attempt):
    name = pod_name(number)
    port = message((2, CONTAINER_PORT), (3, FIRST_HOST_PORT + number))
    return message(
        (1, message((1, name), (2, "uid-" + name), (3, "default"), (4, attempt))),
        (2, name),
        (5, port),
        (7, message((1, "kubernetes.io/ingress-bandwidth"), (2, RATE))),
        (7, message((1, "kubernetes.io/egress-bandwidth"), (2, RATE))),
        (8, b""),
    )


class Runtime:
    """A client of one container runtime."""

    def __init__(self, socket):
        self._channel = grpc.insecure_channel("unix://" + socket)
        self._output = threading.Lock()

    def call(self, name, request):
        return self._channel.unary_unary(SERVICE + name)(
            request, timeout=CALL_TIMEOUT_S, wait_for_ready=True
        )

    def timed(self, name, number, request, result=lambda response: {}):
        """Calls until it succeeds and prints every attempt."""
        for attempt in range(ATTEMPTS):
            line = {"call": name, "pod": number, "attempt": attempt}
            begin = time.monotonic()
            try:
                response = self.call(name, request(attempt))
                line["ms"] = round((time.monotonic() - begin) * 1000, 1)
                line.update(result(response))
                return response
            except grpc.RpcError as error:
                line["ms"] = round((time.monotonic() - begin) * 1000, 1)
                line["error"] = error.details()
            finally:
                with self._output:
                    print(json.dumps(line), flush=True)
        raise SystemExit(f"cri.py: {name} of {pod_name(number)} failed {ATTEMPTS} times")

    def pods(self):
        """Returns the ids of all pods by their names, once the runtime has started."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                found = {}
                for item in values(self.call("ListPodSandbox", b""), 1):
                    found.setdefault(texts(item, 2, 1)[0], []).append(texts(item, 1)[0])
                return found
            except grpc.RpcError as error:
                # containerd answers before its CRI plugin has loaded its state.
                if time.monotonic() > deadline:
                    raise SystemExit("cri.py: the runtime does not start: " + error.details())
                time.sleep(0.05)

    def start(self, number):
        started = self.timed(
            "RunPodSandbox",
            number,
            lambda attempt: message((1, pod_config(number, attempt))),
            lambda response: {"id": texts(response, 1)[0]},
        )
        pod = texts(started, 1)[0]
        self.timed(
            "PodSandboxStatus",
            number,
            lambda attempt: message((1, pod)),
            lambda status: {
                "addresses": texts(status, 1, 5, 1) + texts(status, 1, 5, 2, 1)
            },
        )

    def stop(self, number, ids):
        for pod in ids:
            for name in "StopPodSandbox", "RemovePodSandbox":
                self.timed(name, number, lambda attempt: message((1, pod)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--socket", required=True)
    parser.add_argument("action", choices=["start", "stop", "list"])
    parser.add_argument("numbers", type=int, nargs="*")
    options = parser.parse_args()
    runtime = Runtime(options.socket)
    pods = runtime.pods()
    if options.action == "list":
        print(json.dumps(pods))
        return
    with concurrent.futures.ThreadPoolExecutor(options.concurrency) as threads:
        if options.action == "start":
            done = [threads.submit(runtime.start, number) for number in options.numbers]
        else:
            done = [
                threads.submit(runtime.stop, number, pods.get(pod_name(number), []))
                for number in options.numbers
            ]
        for each in done:
            each.result()


sys.exit(main())
