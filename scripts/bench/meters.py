"""What a process has used: CPU time, resident memory, bytes; read from the kernel, not from our own counters."""

import contextlib
import os
import resource
import socket
import stat
import struct
from pathlib import Path

import psutil

SENT = 200
"""Offset of `tcpi_bytes_sent` in Linux' `struct tcp_info`: with TLS, HTTP/2 and retransmissions."""


def cpu_s() -> float:
    """User and system time of this process until now, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def process_cpu_s(process: psutil.Process) -> float:
    """The same of another process, from outside."""
    times = process.cpu_times()
    return float(times.user + times.system)


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def sent_by_sockets() -> dict[str, int]:
    """Bytes that each open TCP connection of this process has sent, by its two ends."""
    sent = {}
    for entry in Path("/proc/self/fd").iterdir():
        # files that were closed meanwhile, and sockets that are not TCP or not connected
        with contextlib.suppress(OSError):
            number = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as twin:
                ends = f"{twin.getsockname()} {twin.getpeername()}"
                sent[ends] = struct.unpack_from("Q", twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), SENT)[0]
    return sent


def sent_since(before: dict[str, int]) -> int:
    """Bytes that the open TCP connections of this process have sent since `sent_by_sockets` gave `before`."""
    return sum(count - before.get(ends, 0) for ends, count in sent_by_sockets().items())


def loopback_bytes() -> int:
    """Bytes that have gone over this network namespace's loopback, with TCP and IP headers, everybody's."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    (counts,) = [line.split(":")[1].split() for line in lines if line.split(":")[0].strip() == "lo"]
    return int(counts[8])


def resident_bytes(*, peak: bool = False) -> int:
    """Resident size of this process; `peak`: the largest since it began or since `forget_peak`."""
    field = "VmHWM:" if peak else "VmRSS:"
    (kilobytes,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == field]
    return int(kilobytes) * 1024


def forget_peak() -> None:
    """The peak of the resident size starts anew from what it is now."""
    Path("/proc/self/clear_refs").write_text("5")
