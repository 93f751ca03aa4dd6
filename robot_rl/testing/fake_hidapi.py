"""The HID library that pyspacemouse ends in, without devices: what is queued is what it reads.

A stand-in for `easyhid.easyhid.hidapi` alone, where no virtual HID device can be made; all
of pyspacemouse and easyhid runs above it.
"""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path
from typing import Any

WIRED = (0x256F, 0xC635)
"""SpaceMouse Compact: reports 1 (translation) and 2 (rotation), two buttons."""
WIRELESS = (0x256F, 0xC62E)
"""SpaceMouse Wireless: report 1 has all six axes."""


class FakeHidApi:
    """Devices by path; reports are read oldest first, one a call, never blocking.

    hid = FakeHidApi()
    monkeypatch.setattr("easyhid.easyhid.hidapi", hid)
    hid.plug("/tmp/mouse"); hid.send("/tmp/mouse", translation(350, 0, 0)); hid.unplug("/tmp/mouse")
    """

    def __init__(self) -> None:
        self.queues: dict[str, deque[bytes]] = {}
        self.closed: list[str] = []
        self.refuse_to_open = False
        self._kinds: dict[str, tuple[int, int]] = {}
        self._held: list[Any] = []
        """What C would own: cffi frees what nobody refers to."""

    def plug(self, path: Path | str, kind: tuple[int, int] = WIRED) -> None:
        """A device at a path, which must exist: pyspacemouse looks."""
        self.queues[str(path)] = deque()
        self._kinds[str(path)] = kind

    def unplug(self, path: Path | str) -> None:
        """Reads fail from here on, whatever was queued."""
        del self.queues[str(path)]

    def send(self, path: Path | str, *reports: bytes) -> None:
        self.queues[str(path)].extend(reports)

    def hid_enumerate(self, vendor: int, product: int) -> Any:
        from easyhid.easyhid import ffi

        first = ffi.NULL
        for path in self.queues:
            info = ffi.new("struct hid_device_info *")
            name, text = ffi.new("char[]", path.encode()), ffi.new("wchar_t[]", "fake")
            info.path, info.next = name, first
            info.vendor_id, info.product_id = self._kinds[path]
            info.product_string = info.manufacturer_string = info.serial_number = text
            self._held += [info, name, text]
            first = info
        return first

    def hid_free_enumeration(self, first: Any) -> None:
        self._held.clear()

    def hid_open_path(self, path: bytes) -> str | None:
        return None if self.refuse_to_open else path.decode()

    def hid_set_nonblocking(self, device: str, nonblocking: bool) -> int:
        if not nonblocking:
            raise AssertionError("a blocking read would hang at close")
        return 0

    def hid_read(self, device: str, buffer: Any, size: int) -> int:
        if device not in self.queues:
            return -1
        if not self.queues[device]:
            return 0
        report = self.queues[device].popleft()[:size]
        buffer[0 : len(report)] = report
        return len(report)

    def hid_close(self, device: str) -> None:
        self.closed.append(device)


def translation(x: int, y: int, z: int) -> bytes:
    """Report 1 of a wired device, ±350: x right, y towards the user, z down."""
    return struct.pack("<Bhhh", 1, x, y, z)


def rotation(rx: int, ry: int, rz: int) -> bytes:
    """Report 2 of a wired device."""
    return struct.pack("<Bhhh", 2, rx, ry, rz)


def all_axes(*values: int) -> bytes:
    """Report 1 of a wireless device."""
    return struct.pack("<B6h", 1, *values)


def buttons(bits: int) -> bytes:
    """Report 3: bit 0 the left button, bit 1 the right one."""
    return struct.pack("<BB", 3, bits)


def battery(percent: int) -> bytes:
    """Report 23 of a wireless device."""
    return struct.pack("<BB", 23, percent)
