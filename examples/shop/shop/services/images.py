"""Pictures of products: kept in several widths, under names that their content gives them."""

import hashlib
from pathlib import Path
from typing import IO

from sqlalchemy.ext.asyncio import AsyncSession
from velithon.concurrency import run_in_threadpool
from velithon.ext.images import resize_image

from shop.models import Image, Product
from shop.schemas.catalogue import WIDTHS
from shop.settings import get_settings


async def add_image(session: AsyncSession, product: Product, file: IO[bytes], alt: str) -> Image:
    """Keep a product's picture.

    Raises:
        ImageError: It is none.
    """
    made = await resize_image(file, WIDTHS)
    key = hashlib.sha256(b"".join(made.values())).hexdigest()[:32]
    await run_in_threadpool(_write, get_settings().media_dir, key, made)
    image = Image(product_id=product.id, key=key, alt=alt)
    session.add(image)
    await session.flush()
    return image


def _write(directory: Path, key: str, made: dict[int, bytes]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for width, data in made.items():
        # Renamed when it is whole: nobody is sent half a picture.
        part = directory / f"{key}-{width}.part"
        part.write_bytes(data)
        part.rename(directory / f"{key}-{width}.webp")
