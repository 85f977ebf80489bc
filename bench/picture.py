"""A picture of rectangles and small letters, written as PNG (RFC 2083) with zlib only."""

from __future__ import annotations

import struct
import zlib

Colour = tuple[int, int, int]

_GLYPHS = {
    letter: rows
    for letters, shapes in (
        ("0123456789", "75557 26227 71747 71717 55711 74717 74757 71111 75757 75717"),
        ("ABCDEFGHIJ", "25755 65656 34443 65556 74647 74644 34553 55755 72227 11157"),
        ("KLMNOPQRST", "55655 44447 57755 65555 75557 75744 25531 65655 34216 72222"),
        ("UVWXYZ.,:-", "55557 55552 55775 55255 55222 71247 00002 00024 02020 00700"),
        ("_/%", "00007 11244 51245"),
    )
    for letter, rows in zip(letters, shapes.split(), strict=True)
}
"""Five rows of three dots for each character; a row is an octal digit. Letters are drawn as capitals."""


class Picture:
    """Pixels with (0, 0) at the top left. Pixels outside of the picture are not drawn."""

    def __init__(self, width: int, height: int, background: Colour = (255, 255, 255)) -> None:
        self.width = width
        self.height = height
        self._rows = [bytearray(bytes(background) * width) for _ in range(height)]

    def box(self, left: int, top: int, width: int, height: int, colour: Colour) -> None:
        """Draw a filled rectangle."""
        first, last = max(0, left), min(self.width, left + width)
        if first >= last:
            return
        for row in self._rows[max(0, top) : max(0, top + height)]:
            row[3 * first : 3 * last] = bytes(colour) * (last - first)

    def text(self, left: int, top: int, words: str, colour: Colour = (40, 40, 40), size: int = 2) -> None:
        """Draw letters of 3 by 5 dots, each dot `size` pixels wide. An unknown letter is a space."""
        for index, letter in enumerate(words.upper()):
            for y, row in enumerate(_GLYPHS.get(letter, "")):
                for x in range(3):
                    if int(row, 8) >> (2 - x) & 1:
                        self.box(left + (index * 4 + x) * size, top + y * size, size, size, colour)

    def png(self) -> bytes:
        """Return the bytes of a PNG file."""
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        pixels = b"".join(b"\0" + row for row in self._rows)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def text_width(words: str, size: int = 2) -> int:
    """Return the width of `words` in pixels."""
    return len(words) * 4 * size


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
