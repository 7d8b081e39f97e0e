"""Invoices as PDF, and orders as CSV."""

import csv
from collections.abc import AsyncGenerator
from io import StringIO

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from sqlalchemy import select
from velithon.concurrency import run_in_threadpool
from velithon.responses import Response

from shop.database import database
from shop.models import Order
from shop.money import as_decimal, as_text
from shop.settings import get_settings

_COLUMNS = ("number", "state", "total", "currency", "created_at")
_BATCH = 500
# A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def make_invoice(order: Order) -> Response:
    """Return an order's invoice, drawn in a thread."""
    content = await run_in_threadpool(draw_invoice, order)
    name = f'inline; filename="invoice-{order.number}.pdf"'
    return Response(content, media_type="application/pdf", headers={"content-disposition": name})


def draw_invoice(order: Order) -> bytes:
    """Return an order's invoice as PDF."""
    pdf = FPDF()
    font = get_settings().invoice_font
    if font is not None:
        pdf.add_font("invoice", fname=font)
    pdf.add_page()
    pdf.set_title(f"Invoice {order.number}")

    def line(text: str, size: int = 11, height: int = 7) -> None:
        pdf.set_font("invoice" if font else "Helvetica", size=size)
        shown = text if font else text.encode("latin-1", "replace").decode("latin-1")
        pdf.multi_cell(0, height, shown, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    line("Invoice", 20, 14)
    line(f"Order {order.number} of {order.created_at:%Y-%m-%d}")
    line(f"{order.recipient}\n{order.address}")
    pdf.ln(6)
    for item in order.items:
        total = as_text(item.price_cents * item.quantity, order.currency)
        line(f"{item.quantity} x {item.name} at {as_text(item.price_cents, order.currency)}: {total}")
    pdf.ln(6)
    line(f"Total: {as_text(order.total_cents, order.currency)}", 13, 9)
    return bytes(pdf.output())


async def stream_orders() -> AsyncGenerator[str, None]:
    """Yield all orders as CSV, the oldest first.

    Each batch has a transaction of its own: whoever reads slowly keeps no connection of the database.
    """
    yield _as_csv(_COLUMNS)
    last = 0
    while True:
        async with database.begin() as session:
            statement = select(Order).where(Order.id > last).order_by(Order.id).limit(_BATCH)
            batch = list(await session.scalars(statement))
        if not batch:
            return
        last = batch[-1].id
        for order in batch:
            total = as_decimal(order.total_cents)
            yield _as_csv((order.number, order.state, str(total), order.currency, order.created_at.isoformat()))


def _as_csv(values: tuple[str, ...]) -> str:
    target = StringIO()
    csv.writer(target).writerow([f"'{value}" if value.startswith(_FORMULA) else value for value in values])
    return target.getvalue()
