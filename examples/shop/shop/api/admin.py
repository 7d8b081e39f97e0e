"""For those who work here."""

from typing import Annotated

from pydantic import BaseModel, StringConstraints
from velithon import Form, Query, Request, Router, UploadFile
from velithon.cache import invalidate
from velithon.ext.pagination import Page, PageQuery
from velithon.responses import FileResponse, StreamingResponse

from shop import jobs
from shop.announce import Announce
from shop.database import Session
from shop.errors import NotFoundError
from shop.models import OrderState
from shop.schemas.catalogue import ImageOut, NewProduct, NewVariant, ProductOut, VariantChange, VariantOut
from shop.schemas.orders import Move, OrderOut, OrderSummary
from shop.security import admins_only, clerks_only
from shop.services import catalogue, images, invoices, orders

router = Router(prefix="/admin", tags=["administration"])

# A part of a file's name.
ExportId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class ExportOut(BaseModel):
    """A file that is written."""

    id: str
    state: str
    progress: dict[str, int] | None = None


@router.post("/products", status_code=201, dependencies=[admins_only])
async def add_product(new: NewProduct, session: Session, request: Request) -> ProductOut:
    """Add a product with its variants."""
    product = ProductOut.model_validate(await catalogue.add_product(session, new))
    await invalidate(request.app.store, "catalogue")
    return product


@router.post("/products/{slug}/variants", status_code=201, dependencies=[admins_only])
async def add_variant(slug: str, new: NewVariant, session: Session, request: Request) -> ProductOut:
    """Add a variant to a product."""
    product = ProductOut.model_validate(await catalogue.add_variant(session, slug, new))
    await invalidate(request.app.store, "catalogue")
    return product


@router.patch("/variants/{sku}", dependencies=[admins_only])
async def change_variant(sku: str, change: VariantChange, session: Session, request: Request) -> VariantOut:
    """Change a variant's price, or say what has come in."""
    variant = VariantOut.model_validate(await catalogue.change_variant(session, sku, change))
    await invalidate(request.app.store, "catalogue")
    return variant


@router.post("/products/{slug}/images", status_code=201, dependencies=[admins_only])
async def add_image(
    slug: str,
    file: UploadFile,
    alt: Annotated[str, Form(min_length=1, max_length=200)],
    session: Session,
    request: Request,
) -> ImageOut:
    """Add a picture to a product: JPEG, PNG or WebP; it is kept in the widths that pages need."""
    product = await catalogue.get_product(session, slug)
    image = ImageOut.model_validate(await images.add_image(session, product, file.file, alt))
    await invalidate(request.app.store, "catalogue")
    return image


@router.get("/orders.csv", dependencies=[clerks_only], response_class=StreamingResponse)
async def stream_orders() -> StreamingResponse:
    """Stream all orders as CSV."""
    name = {"content-disposition": 'attachment; filename="orders.csv"'}
    return StreamingResponse(invoices.stream_orders(), media_type="text/csv; charset=utf-8", headers=name)


@router.post("/exports", status_code=202, dependencies=[clerks_only])
async def start_export() -> ExportOut:
    """Have all orders written into a file, as a job."""
    handle = await jobs.export_orders.enqueue()
    return ExportOut(id=handle.id, state="queued")


@router.get("/exports/{id}", dependencies=[clerks_only])
async def show_export(id: ExportId, request: Request) -> ExportOut:
    """Tell how far a file is."""
    record = await request.app.jobs.get(id).record()
    return ExportOut(id=id, state=record.state, progress=record.progress)


@router.get("/exports/{id}/orders.csv", dependencies=[clerks_only], response_class=FileResponse)
async def fetch_export(id: ExportId) -> FileResponse:
    """Send a file that was written."""
    path = jobs.export_path(id)
    if not path.is_file():
        raise NotFoundError("There is no such file, or not yet.")
    return FileResponse(path, media_type="text/csv; charset=utf-8", filename="orders.csv")


@router.get("/orders", dependencies=[clerks_only])
async def list_orders(
    query: Annotated[PageQuery, Query()], session: Session, state: OrderState | None = None
) -> Page[OrderSummary]:
    """List everybody's orders."""
    return await orders.list_orders(session, query, state=state)


@router.put("/orders/{number}/state", dependencies=[clerks_only])
async def move(number: str, to: Move, session: Session, announce: Announce) -> OrderOut:
    """Bring an order into its next state."""
    order = await orders.get_order(session, number, None, lock=True)
    await orders.move_by_hand(session, order, to.state)
    announce(order)
    return OrderOut.model_validate(order)
