"""Random buckets: a number from 0 to 100 per customer and salt, the same for ever, that nobody can guess without the key.

A keyed hash that every engine computes with plain 64-bit integers: a polynomial of degree three over the field of
P = 2^31 - 1, applied to a mix of the customer's three limbs. Its coefficients come from BLAKE2b of the salt under the
workspace's key, so two salts give independent numbers and a percentage that grows only adds customers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

P = 2**31 - 1
"""A prime: products of two numbers below it fit 62 bits, so that nothing ever overflows."""

LIMB = 30
"""Bits per limb: 30 + 30 + 4 hold the 64 bits of a pseudonym."""

TOP = 2**4 - 1
"""What the highest limb holds: 0 to 7 of customers, 8 to 15 of visitors, whose pseudonyms are negative."""

HIGHEST = 100.0


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Of one salt. `mix` has one per limb and a constant, `polynomial` starts with the highest power."""

    mix: tuple[int, int, int, int]
    polynomial: tuple[int, int, int, int]

    def hashed(self, customer: Any) -> Any:
        """The hash of a customer, 0 to P - 1: of a whole number, or of an expression with the same operators.

        Every limb is cut to its bits, so that nothing below is negative: the remainder of a negative number has
        another sign in SQL than in Python.

        Example:
            >>> 0 <= coefficients("spring", b"key").hashed(2**62) < P
            True
        """
        low, middle, high = customer & (2**LIMB - 1), (customer >> LIMB) & (2**LIMB - 1), (customer >> 2 * LIMB) & TOP
        a, b, c, d = self.mix
        x = ((low * a) % P + (middle * b) % P + (high * c) % P + d) % P
        result: Any = self.polynomial[0]
        for coefficient in self.polynomial[1:]:
            result = (result * x + coefficient) % P
        return result


@lru_cache(maxsize=1024)
def coefficients(salt: str, key: bytes) -> Coefficients:
    """The coefficients of a salt under a key of any length."""
    short = key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()
    drawn = blake2b(salt.encode(), key=short, person=b"kohort.bucket", digest_size=64).digest()
    # 64 bits modulo 31: the bias is below 2^-33. A leading coefficient of zero would make the hash flat.
    numbers = [int.from_bytes(drawn[n : n + 8], "big") % P or 1 for n in range(0, 64, 8)]
    a, b, c, d, *polynomial = numbers
    return Coefficients((a, b, c, d), (polynomial[0], polynomial[1], polynomial[2], polynomial[3]))


def share(hashed: Any) -> Any:
    """A hash as a number from 0 up to but not including 100; one division in float64."""
    return hashed * HIGHEST / float(P)


def random_bucket(customer: int, salt: str, key: bytes) -> float:
    """The number of a customer: 0 <= number < 100.

    Args:
        customer: Pseudonym, -2^63 to 2^63 - 1.
        salt: What the draw is for; another salt is another, independent draw.
        key: The workspace's key.

    Example:
        >>> random_bucket(7, "spring", b"key") == random_bucket(7, "spring", b"key")
        True
    """
    return float(share(coefficients(salt, key).hashed(customer)))
