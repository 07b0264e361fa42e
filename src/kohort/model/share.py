"""How sure a counted share is."""

from __future__ import annotations

import math

from kohort.model.segmentation import Estimate

_Z = 1.959963984540054


def wilson(hits: int, n: int) -> Estimate | None:
    """A share with Wilson's 95 % interval; None where there is nobody.

    Example:
        >>> wilson(8, 10)
        Estimate(value=0.8, low=0.49..., high=0.94...)
    """
    if not n:
        return None
    share, z2 = hits / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Estimate(share, 0.0 if hits == 0 else middle - half, 1.0 if hits == n else middle + half)
