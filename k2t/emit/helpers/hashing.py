"""Hashes as TensorFlow computes them, modulo 2**64."""

import struct

MASK = 2**64 - 1
# the prime factors of FarmHash, and of the hash that crosses features
K0 = 0xC3A5C85C97CB3127
K1 = 0xB492B66FBE98F273
K2 = 0x9AE16A3B2F90404F
K3 = 0xC6A4A7935BD1E995


def rotated(value: int, right: int) -> int:
    """The 64 bits, moved to the right in a circle."""
    value &= MASK
    return (value >> right | value << 64 - right) & MASK


def shift_mix(value: int) -> int:
    """Upper bits into the lower ones."""
    value &= MASK
    return value ^ value >> 47


def mixed(u: int, v: int, factor: int) -> int:
    """Two numbers as one."""
    return shift_mix((v ^ shift_mix((u ^ v) * factor)) * factor) * factor & MASK


def farmhash64(word: str) -> int:
    """FarmHash's Fingerprint64 of a word in UTF-8 (github.com/google/farmhash, `farmhashna`)."""
    data = word.encode()
    n = len(data)
    factor = K2 + 2 * n
    if n > 64:
        return farmhash64_long(data)
    if n > 16:
        a, b = struct.unpack_from("<2Q", data)
        d, c = struct.unpack_from("<2Q", data, n - 16)
        a, c, d = a * (K1 if n <= 32 else K2), c * factor, d * K2
        y = rotated(a + b, 43) + rotated(c, 30) + d
        z = mixed(y, a + rotated(b + K2, 18) + c, factor)
        if n <= 32:
            return z
        e, f = struct.unpack_from("<2Q", data, 16)
        g, h = struct.unpack_from("<2Q", data, n - 32)
        e, g, h = e * factor, (y + g) * factor, (z + h) * factor
        return mixed(rotated(e + f, 43) + rotated(g, 30) + h, e + rotated(f + a, 18) + g, factor)
    if n >= 8:
        a, b = struct.unpack_from("<Q", data)[0] + K2, struct.unpack_from("<Q", data, n - 8)[0]
        return mixed(rotated(b, 37) * factor + a, (rotated(a, 25) + b) * factor, factor)
    if n >= 4:
        a, b = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, n - 4)[0]
        return mixed(n + (a << 3), b, factor)
    if n:
        y, z = data[0] + (data[n >> 1] << 8), n + (data[-1] << 2)
        return shift_mix(y * K2 ^ z * K0) * K2 & MASK
    return K2


def farmhash64_long(data: bytes) -> int:
    """Fingerprint64 of more than 64 bytes: blocks of 64, the last ones again as a block."""
    v, w, x, y = (0, 0), (0, 0), 81 * K2 + struct.unpack_from("<Q", data)[0], 81 * K1 + 113
    z = shift_mix(y * K2 + 113) * K2

    def pair(start: int, a: int, b: int) -> tuple[int, int]:
        w, x, y, z = struct.unpack_from("<4Q", data, start)
        a += w
        return a + x + y + z & MASK, rotated(b + a + z, 21) + rotated(a + x + y, 44) + a & MASK

    def block(start: int, factor: int, nine: int) -> None:
        nonlocal v, w, x, y, z
        second, fifth, sixth = (struct.unpack_from("<Q", data, start + 8 * i)[0] for i in (1, 6, 5))
        x, y = rotated(x + y + v[0] + second, 37) * factor, rotated(y + v[1] + fifth, 42) * factor
        x, y = x ^ w[1] * nine, y + v[0] * nine + sixth
        z = rotated(z + w[0], 33) * factor
        v = pair(start, v[1] * factor, x + w[0])
        w = pair(start + 32, z + w[1], y + struct.unpack_from("<Q", data, start + 16)[0])
        x, z = z & MASK, x & MASK

    end = (len(data) - 1) // 64 * 64
    for start in range(0, end, 64):
        block(start, K1, 1)
    factor = K1 + ((z & 0xFF) << 1)
    w = (w[0] + (len(data) - 1 & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    block(len(data) - 64, factor, 9)
    first = mixed(v[0], w[0], factor) + shift_mix(y) * K0 + z
    return mixed(first, mixed(v[1], w[1], factor) + x, factor)


# "somepseudorandomlygeneratedbytes"
SIP = struct.unpack("<4Q", b"uespemosmodnarodarenegylsetybdet")


class SipHash:
    """SipHash-2-4 of a word in UTF-8, with a key of two numbers (https://www.aumasson.jp/siphash)."""

    def __init__(self, first: int, second: int) -> None:
        self.key = first & MASK, second & MASK

    def __call__(self, word: str) -> int:
        """The hash of a word."""
        data = word.encode()
        first, second = self.key
        v = [first, second, first, second]
        v = [a ^ b for a, b in zip(v, SIP, strict=True)]
        last = bytes([len(data) % 256])
        padded = data + bytes(7 - len(data) % 8) + last
        for (block,) in struct.iter_unpack("<Q", padded):
            v[3] ^= block
            self.rounds(v, 2)
            v[0] ^= block
        v[2] ^= 0xFF
        self.rounds(v, 4)
        return v[0] ^ v[1] ^ v[2] ^ v[3]

    def rounds(self, v: list[int], count: int) -> None:
        """Mix the four numbers."""
        for _ in range(count):
            v[0], v[2] = v[0] + v[1] & MASK, v[2] + v[3] & MASK
            v[1], v[3] = rotated(v[1], 51) ^ v[0], rotated(v[3], 48) ^ v[2]
            v[0], v[2] = rotated(v[0], 32) + v[3] & MASK, v[2] + v[1] & MASK
            v[1], v[3] = rotated(v[1], 47) ^ v[2], rotated(v[3], 43) ^ v[0]
            v[2] = rotated(v[2], 32)


def crossed(*items: str | int) -> int:
    """One number for several words or numbers: `FingerprintCat64` from TensorFlow's own key."""
    total = 0xDECAFCAFFE
    for item in items:
        number = farmhash64(item) if isinstance(item, str) else item & MASK
        total = (total ^ K3) ^ shift_mix(number * K3) * K3 & MASK
        total = shift_mix(shift_mix(total * K3) * K3)
    return total
