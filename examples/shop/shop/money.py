"""Money is a whole number of cents; it becomes text in one place."""

from decimal import Decimal


def as_decimal(cents: int) -> Decimal:
    """Return cents as an amount, such as `Decimal("12.50")`."""
    return Decimal(cents).scaleb(-2)


def as_text(cents: int, currency: str = "EUR") -> str:
    """Return an amount as people read it, such as `1,234.50 EUR`."""
    return f"{as_decimal(cents):,.2f} {currency}"
