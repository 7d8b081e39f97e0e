"""Make the pictures of docs/shop.md: `python scripts/shop_tour.py` walks through the shop in Chromium.

It starts the shop with its products and drawings, does what the test of the walk does, and saves what it sees.
"""

# ruff: noqa: E402 - the checkout's own modules are imported

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "shop")]

from tests.browser import browser, executable
from tests.examples.shop.running import running_shop
from tests.examples.shop.walk import walk, work_at_the_desk

ASSETS = ROOT / "docs" / "assets"
SIZE = (1120, 760)


def main() -> None:
    """Walk, and save a picture of each place."""
    if executable() is None:
        raise SystemExit("There is no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name, running_shop(Path(name)) as shop, browser() as page:
        page.resize(*SIZE)

        def look(place: str) -> None:
            # Pictures below the fold are loaded when they are near; those in sight have to be there.
            page.until("[...document.images].every((image) => image.complete)")
            page.screenshot(ASSETS / f"shop-{place}.webp")
            print(place)

        walk(page, shop, look)
        work_at_the_desk(page, shop, look)


if __name__ == "__main__":
    main()
