"""A shop with something in it: `python -m shop.seed` fills an empty database."""

import asyncio
import hashlib
import sys
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import select
from velithon.concurrency import run_in_threadpool

from shop.database import database
from shop.models import Category, Product, Role, Variant
from shop.security import passwords
from shop.services.accounts import add_user
from shop.services.images import add_image
from shop.settings import get_settings

PASSWORD = "correct horse battery"

CATEGORIES = {
    "kitchen": ("Kitchen", None),
    "cups": ("Cups", "kitchen"),
    "desk": ("Desk", None),
    "garden": ("Garden", None),
}

# Slug, name, category, description, and variants: name, cents, pieces.
PRODUCTS: list[tuple[str, str, str, str, list[tuple[str, int, int]]]] = [
    (
        "coffee-mug",
        "Coffee mug",
        "cups",
        "Holds 300 ml, and keeps them warm.",
        [("white", 1250, 40), ("blue", 1350, 25)],
    ),
    ("tea-cup", "Tea cup", "cups", "Thin porcelain, with a saucer.", [("plain", 1890, 12)]),
    ("espresso-cup", "Espresso cup", "cups", "Small, heavy, and stackable.", [("black", 990, 60), ("red", 990, 0)]),
    (
        "bread-knife",
        "Bread knife",
        "kitchen",
        "A blade of 22 cm with waves.",
        [("beech", 3490, 9), ("walnut", 4290, 4)],
    ),
    ("chopping-board", "Chopping board", "kitchen", "Oak, oiled.", [("small", 2450, 15), ("large", 3950, 8)]),
    ("cast-iron-pan", "Cast iron pan", "kitchen", "For a hundred years, if it is dried.", [("26 cm", 5990, 6)]),
    ("apron", "Apron", "kitchen", "Linen, with one big pocket.", [("grey", 2990, 20), ("green", 2990, 20)]),
    (
        "fountain-pen",
        "Fountain pen",
        "desk",
        "A steel nib, and a converter for ink.",
        [("F", 3900, 14), ("M", 3900, 11)],
    ),
    ("ink", "Ink, 50 ml", "desk", "Dries in seconds, and stays.", [("blue-black", 1100, 70), ("brown", 1100, 33)]),
    (
        "notebook",
        "Notebook",
        "desk",
        "192 pages that ink does not bleed through.",
        [("lined", 1490, 80), ("dotted", 1490, 64)],
    ),
    ("desk-lamp", "Desk lamp", "desk", "Warm light, and an arm that stays where it is put.", [("brass", 8900, 5)]),
    ("paper-knife", "Paper knife", "desk", "For letters, should one come.", [("steel", 1650, 18)]),
    ("watering-can", "Watering can", "garden", "Zinc, 5 litres, a long spout.", [("5 l", 4490, 7)]),
    ("hand-fork", "Hand fork", "garden", "Three tines, ash handle.", [("ash", 1990, 22)]),
    ("seed-box", "Box of seeds", "garden", "Twelve kinds of herbs.", [("herbs", 1290, 50)]),
    ("garden-twine", "Garden twine", "garden", "Jute, 100 m.", [("100 m", 690, 90)]),
]


async def fill(*, images: bool = True) -> bool:
    """Fill an empty database; return whether it was empty.

    Args:
        images: Whether products get pictures, which are drawn.
    """
    async with database.begin() as session:
        if await session.scalar(select(Product.id).limit(1)) is not None:
            return False
        categories: dict[str, Category] = {}
        for slug, (name, parent) in CATEGORIES.items():
            categories[slug] = Category(slug=slug, name=name, parent_id=categories[parent].id if parent else None)
            session.add(categories[slug])
            await session.flush()
        for slug, name, category, description, variants in PRODUCTS:
            product = _product(slug, name, categories[category], description, variants)
            session.add(product)
            await session.flush()  # the newest is the last of the list
            if images:
                await add_image(session, product, _picture(name), f"A drawing of the product {name}")
        for role in Role:
            # A tenth of a second of processor time, in a thread as everywhere.
            password_hash = await run_in_threadpool(passwords.hash, PASSWORD)
            user = await add_user(session, f"{role}@shop.example", f"{role.title()} Example", password_hash)
            user.role = role
    return True


def _product(
    slug: str, name: str, category: Category, description: str, variants: list[tuple[str, int, int]]
) -> Product:
    made = [
        Variant(sku=f"{slug.upper()}-{number}", name=variant, price_cents=cents, stock=stock)
        for number, (variant, cents, stock) in enumerate(variants, start=1)
    ]
    lowest = min(variant.price_cents for variant in made)
    return Product(
        slug=slug, name=name, description=description, category_id=category.id, price_cents=lowest, variants=made
    )


def _picture(name: str) -> BytesIO:
    """Draw something for a product: its name, on a colour of its own."""
    hue = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2]) % 360
    picture = Image.new("RGB", (1280, 960), f"hsl({hue}, 32%, 84%)")
    draw = ImageDraw.Draw(picture)
    for number in range(6):
        radius = 420 - number * 62
        circle = (640 - radius, 430 - radius, 640 + radius, 430 + radius)
        draw.ellipse(circle, fill=f"hsl({(hue + number * 9) % 360}, 34%, {82 - number * 7}%)")
    font = ImageFont.load_default(size=84)
    draw.text((640, 430), name[0], anchor="mm", fill="white", font=ImageFont.load_default(size=200))
    draw.text((640, 880), name, anchor="mm", fill=f"hsl({hue}, 30%, 28%)", font=font)
    target = BytesIO()
    picture.save(target, "PNG")
    target.seek(0)
    return target


async def main() -> None:
    """Fill the database that the settings name."""
    if get_settings().is_production:
        raise SystemExit("The data is for development: everybody knows the passwords.")
    was_empty = await fill()
    await database.aclose()
    sys.stdout.write(
        f"Filled. Log in as customer@, clerk@ or admin@shop.example with {PASSWORD!r}.\n"
        if was_empty
        else "There is data already.\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
