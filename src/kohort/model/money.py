"""Money: how many minor units make one major unit of a currency."""

from __future__ import annotations

NO_DECIMALS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])


def minor_digits(currency: str) -> int:
    """Decimals of the minor unit (ISO 4217): 2 for pounds, 0 for yen, 3 for dinars; 2 for a currency we do not know.

    Example:
        >>> minor_digits("GBP"), minor_digits("jpy"), minor_digits("KWD")
        (2, 0, 3)
    """
    code = currency.upper()
    if code in NO_DECIMALS:
        return 0
    return 3 if code in THREE_DECIMALS else 2
