"""Uploaded pictures: what is accepted, and what comes out."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.conftest import ClientFactory
from velithon import UploadFile, Velithon
from velithon.ext.images import ImageError, resize_image
from velithon.responses import Response


def drawn(format: str, size: tuple[int, int] = (200, 100), mode: str = "RGB", **options: Any) -> bytes:
    """Return a picture's file."""
    target = BytesIO()
    Image.new(mode, size, (200, 30, 30, 128)[: len(mode)]).save(target, format, **options)
    return target.getvalue()


def bomb() -> bytes:
    """Return a PNG of a few bytes that says it has 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


def application(output: str = "WEBP") -> Velithon:
    app = Velithon()

    @app.post("/pictures")
    async def upload(file: UploadFile, width: int) -> Response:
        made = await resize_image(file.file, [width], output=output)
        return Response(made[width], media_type="image/webp")

    return app


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_picture_gets_the_width_that_was_asked_for(client: ClientFactory, format: str) -> None:
    """Its height follows; one that is narrower stays as it is. The name of the file says nothing."""
    with client(application()) as speaking:
        for width, size in ((50, (50, 25)), (500, (200, 100))):
            files = {"file": ("x.exe", drawn(format), "text/plain")}
            answer = speaking.post(f"/pictures?width={width}", files=files)
            assert answer.status_code == 200
            assert (opened(answer.content).format, opened(answer.content).size) == ("WEBP", size)


def with_orientation() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "a camera that tells where it was"
    return drawn("JPEG", exif=exif)


def test_a_camera_is_heeded_and_forgotten(client: ClientFactory) -> None:
    """The picture is turned as it says, and nothing of what it wrote is left."""
    with client(application()) as speaking:
        answer = speaking.post("/pictures?width=100", files={"file": with_orientation()})
    assert opened(answer.content).size == (100, 200)
    assert dict(opened(answer.content).getexif()) == {}
    assert b"camera" not in answer.content


@pytest.mark.parametrize(("output", "mode"), [("WEBP", "RGBA"), ("JPEG", "RGB"), ("PNG", "RGBA")])
def test_transparency_is_kept_where_it_can_be(client: ClientFactory, output: str, mode: str) -> None:
    """JPEG has none: what is behind is white."""
    with client(application(output)) as speaking:
        answer = speaking.post("/pictures?width=20", files={"file": drawn("PNG", mode="RGBA")})
    assert opened(answer.content).mode == mode


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture of these kinds"),
        (lambda: b"", "no picture of these kinds"),
        (lambda: drawn("GIF"), "no picture of these kinds"),
        (lambda: drawn("JPEG")[:-200], "broken"),
        (bomb, "pixels|too large"),
        (lambda: drawn("PNG", (8_000, 5_001), "L"), "more than 40,000,000 pixels"),
    ],
)
def test_what_is_no_picture_is_refused(client: ClientFactory, make: Callable[[], bytes], part: str) -> None:
    """With 422, and before it takes memory."""
    with client(application()) as speaking:
        answer = speaking.post("/pictures?width=20", files={"file": make()})
    assert answer.status_code == 422
    with pytest.raises(ImageError, match=part):
        raise ImageError(answer.json()["detail"])


@pytest.mark.anyio
@pytest.mark.parametrize("widths", [[], [0], [10, -1]])
async def test_wrong_widths_are_the_developers_mistake(widths: list[int]) -> None:
    """They raise, whatever the picture."""
    with pytest.raises(ValueError, match="widths are pixels"):
        await resize_image(BytesIO(drawn("PNG")), widths)
