"""Times as they stand on the wire (RFC 3339), and back."""

from __future__ import annotations

from datetime import datetime, timezone


def instant(text: str) -> datetime:
    """Reads a time; the result is in UTC.

    Python before 3.11 knows neither ``Z`` nor fractions of other than three or six digits.
    """
    if text[-1:] in "Zz":
        text = text[:-1] + "+00:00"
    whole, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        text = f"{whole}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"
    return datetime.fromisoformat(text).astimezone(timezone.utc)
