"""Ports for programs that are told theirs. One that the kernel has chosen and that was let go may be somebody else's by the
time the program asks for it; these are outside the range that the kernel chooses from, and each is told once.

As a command: python3 tests/ports.py HOW_MANY [ROW] prints so many, each the first of ROW in a row.
"""
import random
import socket
import sys

# Below what the kernel gives out (Linux: from 32768), and beside the ports of tests/it/ports.rs.
FIRST, MANY = 18_000, 2_000
# Several programs ask at the same time: each begins elsewhere.
_next = random.randrange(MANY)


def free(count=1, row=1):
    """So many ports, each the first of `row` in a row (RTP's port is even, RFC 3550 section 11: give 2)."""
    global _next
    found = []
    for _ in range(MANY // row):
        if len(found) == count:
            return found
        # Onwards to the next row that is whole.
        begin = -(-_next // row) * row
        _next = (begin + row) % MANY
        ports = range(FIRST + begin, FIRST + begin + row)
        if begin + row <= MANY and all(map(_is_free, ports)):
            found.append(ports[0])
    sys.exit("tests/ports.py: no port is free")


def _is_free(port):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


if __name__ == "__main__":
    print(*free(*map(int, sys.argv[1:])))
