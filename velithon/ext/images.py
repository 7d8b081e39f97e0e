"""Pictures that users upload, checked and resized by Pillow; needs `pip install "velithon[images]"`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import IO

from velithon.concurrency import run_in_threadpool
from velithon.exceptions import HTTPException

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as exc:
    raise ImportError('velithon.ext.images needs Pillow: pip install "velithon[images]"') from exc

__all__ = ["ImageError", "resize_image"]

MAX_PIXELS = 40_000_000


class ImageError(HTTPException):
    """An upload is no picture that is accepted: answered with 422."""

    def __init__(self, detail: str) -> None:
        super().__init__(422, detail)


async def resize_image(
    file: IO[bytes],
    widths: Sequence[int],
    *,
    formats: Sequence[str] = ("JPEG", "PNG", "WEBP"),
    output: str = "WEBP",
    quality: int = 80,
    max_pixels: int = MAX_PIXELS,
) -> dict[int, bytes]:
    """Return a picture in several widths, without its metadata.

    It is drawn anew: what else was in its file, such as the place, is gone.

    It works in a thread. A picture is turned as its camera says, keeps its proportions and is never enlarged.

    Args:
        file: The upload's, such as `UploadFile.file`.
        widths: In pixels.
        formats: What is accepted, by what the file holds; its name and the type that the client claims say nothing.
        output: The format of the results.
        quality: 1 to 100, for formats that lose something.
        max_pixels: A picture of more is refused before it is decoded: a small file can hold gigabytes.

    Returns:
        The files, by width.

    Raises:
        ImageError: It is no picture, of another format, broken, or too large.
        ValueError: There are no widths, or one is less than 1.
    """
    if not widths or min(widths) < 1:
        raise ValueError(f"widths are pixels, at least one and each at least 1, not {list(widths)}.")
    return await run_in_threadpool(_resize, file, widths, formats, output, quality, max_pixels)


def _resize(
    file: IO[bytes], widths: Sequence[int], formats: Sequence[str], output: str, quality: int, max_pixels: int
) -> dict[int, bytes]:
    file.seek(0)
    try:
        with warnings.catch_warnings():
            # Pillow's own limits are there as well; ours is the lower one, or the caller's choice.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=tuple(formats)) as opened:
                if opened.width * opened.height > max_pixels:
                    raise ImageError(f"The picture has more than {max_pixels:,} pixels.")
                picture = ImageOps.exif_transpose(opened)
                picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except UnidentifiedImageError:
        raise ImageError(f"The file is no picture of these kinds: {', '.join(formats)}.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise ImageError("The picture is broken, or too large.") from exc
    return {width: _draw(picture, width, output, quality) for width in widths}


def _draw(picture: Image.Image, width: int, output: str, quality: int) -> bytes:
    if width < picture.width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    if output == "JPEG" and picture.mode == "RGBA":
        background = Image.new("RGB", picture.size, "white")
        background.paste(picture, mask=picture.getchannel("A"))
        picture = background
    target = BytesIO()
    picture.save(target, output, quality=quality)
    return target.getvalue()
