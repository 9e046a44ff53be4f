#!/usr/bin/env python3
"""A link between two network namespaces that has a delay and a rate, for kernels without netem: a device of packets in each, and
this program between them.

    slow_link.py NAMESPACE NAMESPACE SECONDS BYTES_PER_SECOND      makes the devices `slow`, prints a line, and runs until it is ended
"""
import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def device(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as place:
        if libc.setns(place.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14s", b"slow", IFF_TUN | IFF_NO_PI, b""))
    return tun


class Direction:
    """Packets in flight."""

    def __init__(self, source, to):
        self.source, self.to, self.packets, self.free = source, to, collections.deque(), 0.0

    def read(self, delay, rate):
        while True:
            try:
                packet = os.read(self.source, 65536)
            except BlockingIOError:
                return
            except OSError: # the device is down
                time.sleep(0.01)
                return
            self.free = max(self.free, time.monotonic()) + len(packet) / rate
            self.packets.append((self.free + delay, packet))

    def write(self):
        """The packets that have arrived, and the time when the next one arrives."""
        while self.packets:
            due, packet = self.packets[0]
            if due > time.monotonic():
                return due
            self.packets.popleft()
            try:
                os.write(self.to, packet)
            except OSError:
                pass # a link that is cut loses it
        return float("inf")


def main():
    a, b = device(sys.argv[1]), device(sys.argv[2])
    delay, rate = float(sys.argv[3]), float(sys.argv[4])
    directions = {a: Direction(a, b), b: Direction(b, a)}
    print("ready", flush=True)
    while True:
        due = min(direction.write() for direction in directions.values())
        wait = max(0.0, min(due - time.monotonic(), 1.0))
        for ready in select.select(list(directions), [], [], wait)[0]:
            directions[ready].read(delay, rate)


if __name__ == "__main__":
    main()
