#!/usr/bin/env python3
"""make_pcap.py OUT.pcap DIGIT: what a phone sends while somebody presses DIGIT, for SIPp's play_pcap_audio.

PCMU silence (payload type 0), the key as RFC 4733 telephone-events (payload type 101, 160 ms long, its end sent three
times), PCMU silence again: one RTP stream with one clock. SIPp replaces addresses and ports with those of the call.
The pcap beside this script was made with:  ./make_pcap.py press_1.pcap 1
"""
import struct
import sys

FRAME = 160  # 20 ms at 8 kHz
SSRC = 0x7EAD11FE
KEYS = "0123456789*#ABCD"  # RFC 4733 section 3.2, table 3


def rtp(payload_type, marker, sequence, timestamp, payload):
    second = (0x80 if marker else 0) | payload_type
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp, SSRC) + payload


def stream(event, before=20, frames=8, after=20):
    """(seconds, RTP packet) from `before` silent frames, a key of `frames` frames, and `after` silent frames."""
    silence = b"\xff" * FRAME
    packets, sequence, frame = [], 1000, 0

    def add(payload_type, marker, timestamp, payload):
        nonlocal sequence
        packets.append((frame * 0.020, rtp(payload_type, marker, sequence, timestamp, payload)))
        sequence += 1

    for _ in range(before):
        add(0, frame == 0, frame * FRAME, silence)
        frame += 1
    pressed = frame * FRAME  # every packet of one event carries the time of its start
    for n in range(1, frames + 1):
        add(101, n == 1, pressed, struct.pack("!BBH", event, 10, n * FRAME))
        frame += 1
    for _ in range(3):
        add(101, False, pressed, struct.pack("!BBH", event, 0x80 | 10, frames * FRAME))
        frame += 1
    for _ in range(after):
        add(0, False, frame * FRAME, silence)
        frame += 1
    return packets


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload):
    """Ethernet, IPv4 and UDP around an RTP packet; a UDP checksum of 0 means none was computed (RFC 768)."""
    udp = struct.pack("!HHHH", 16000, 16002, 8 + len(payload), 0) + payload
    address = bytes([127, 0, 0, 1])
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, address, address)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return bytes(12) + b"\x08\x00" + ip + udp


def main():
    out, key = sys.argv[1], sys.argv[2]
    with open(out, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for seconds, packet in stream(KEYS.index(key)):
            frame = ethernet(packet)
            micros = round(seconds * 1_000_000)
            file.write(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    if len(sys.argv) != 3 or len(sys.argv[2]) != 1 or sys.argv[2] not in KEYS:
        sys.exit(__doc__.splitlines()[0])
    main()
