"""Looks at every page that Velithon shows: screenshots, axe-core and Lighthouse.

`python -m scripts.pages --shots pages/` takes screenshots in light, in dark and at 390 px. `--axe` and `--lighthouse`
need npm, which installs both below `.cache/node` the first time; Chromium is Debian's. Ends with status 1 where
axe-core finds a violation, or where accessibility or best practices score below 95.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx

from tests.browser import Page, browser, executable
from tests.servers import free_port

ROOT = Path(__file__).parent.parent
NODE = ROOT / ".cache" / "node"
_LOWEST = 95
# Name -> the application's debug option and the path.
PAGES = {
    "docs": ("0", "/docs"),
    "docs-operation": ("0", "/docs#/books/add_book_books_post"),
    "reader": ("0", "/redoc"),
    "not-found": ("0", "/no/such/page"),
    "wrong-method": ("0", "/books/1/cover"),
    "server-error": ("0", "/broken/9780061054884?discount=1"),
    "debug": ("1", "/broken/9780061054884?discount=0.5&token=abcdef"),
}
_VIEWS = {
    "light": ("light", 1280, 900),
    "dark": ("dark", 1280, 900),
    "phone": ("light", 390, 844),
}


@contextmanager
def serving(debug: str) -> Iterator[str]:
    """Serve the application with or without debug; yields its address."""
    with free_port() as port:
        command = [sys.executable, "-m", "velithon", "run", "scripts.pages_app:app", "--port", str(port)]
        environment = {**os.environ, "PAGES_DEBUG": debug}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 30
            while True:
                try:
                    httpx.get(f"{address}/home", trust_env=False)
                    break
                except httpx.TransportError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise SystemExit("The application did not start.") from None
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(20)


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing."""


@contextmanager
def serving_file(file: Path) -> Iterator[str]:
    """Serve a file's directory, as Lighthouse opens no file; yields the file's address."""
    handler = partial(_Quiet, directory=str(file.resolve().parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{file.name}"
        server.shutdown()


def look(page: Page, url: str, view: str) -> None:
    """Open a URL in a view: a colour scheme and a size."""
    scheme, width, height = _VIEWS[view]
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=view == "phone"
    )
    page.call("Page.navigate", url="about:blank")
    page.open(url)
    page.until("!document.querySelector('[aria-busy=true]')")


def shoot(page: Page, file: Path) -> None:
    """Take a picture of what the window shows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"]))


def node_modules() -> Path:
    """Return where axe-core and Lighthouse are, installing them the first time."""
    found = NODE / "node_modules"
    if not (found / "lighthouse").is_dir() or not (found / "axe-core").is_dir():
        NODE.mkdir(parents=True, exist_ok=True)
        (NODE / "package.json").write_text('{"private": true}')
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "lighthouse@13", "axe-core@4"], cwd=NODE, check=True
        )
    return found


def violations(page: Page, axe: str) -> list[str]:
    """Return what axe-core finds on the page that is open."""
    page.run(f"(() => {{ {axe}\n }})()")
    found = page.run("axe.run(document, {resultTypes: ['violations']}).then((result) => result.violations)")
    return [
        f"{item['id']}: {item['help']}: {node['html'][:160]}"
        + "".join(f" ({check['message']})" for check in [*node["any"], *node["all"]][:1])
        for item in found
        for node in item["nodes"]
    ]


def scores(url: str) -> dict[str, int]:
    """Return Lighthouse's scores of a URL; an error page is measured although its status is one."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.json"
        command = [
            str(node_modules() / ".bin" / "lighthouse"),
            url,
            "--quiet",
            "--output=json",
            f"--output-path={report}",
            "--only-categories=accessibility,best-practices",
            "--ignore-status-code",
            "--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage",
        ]
        subprocess.run(command, env={**os.environ, "CHROME_PATH": executable() or ""}, check=True)
        data: dict[str, Any] = json.loads(report.read_text())
    for audit in data["audits"].values():
        if audit.get("score") == 0:
            print(f"    {audit['id']}: {audit['title']}")
    return {name: round(100 * category["score"]) for name, category in data["categories"].items()}


def check(url: str, name: str, page: Page, options: argparse.Namespace) -> int:
    """Look at one page in each view; return how much is wrong with it."""
    wrong = 0
    for view in _VIEWS:
        look(page, url, view)
        if options.shots:
            shoot(page, options.shots / f"{name}-{view}.png")
        if options.axe:
            found = violations(page, (node_modules() / "axe-core" / "axe.min.js").read_text())
            print(f"{name} {view}: axe {len(found)} violations")
            print("".join(f"    {text}\n" for text in found), end="")
            wrong += len(found)
        wide = page.run("document.documentElement.scrollWidth > window.innerWidth")
        if wide:
            print(f"{name} {view}: the page scrolls sideways")
            wrong += 1
    if options.lighthouse:
        measured = scores(url)
        print(f"{name}: Lighthouse {', '.join(f'{key} {value}' for key, value in measured.items())}")
        wrong += sum(value < _LOWEST for value in measured.values())
    return wrong


def main() -> None:
    """Look at the pages that the command line names, or at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PAGES)}; a file of HTML is looked at, too")
    parser.add_argument("--shots", type=Path, help="write screenshots to this directory")
    parser.add_argument("--axe", action="store_true", help="run axe-core")
    parser.add_argument("--lighthouse", action="store_true", help="run Lighthouse")
    options = parser.parse_args()
    names = options.names or list(PAGES)
    wrong = 0
    with browser() as page:
        for debug in ("0", "1"):
            paths = {name: PAGES[name][1] for name in names if name in PAGES and PAGES[name][0] == debug}
            if paths:
                with serving(debug) as address:
                    wrong += sum(check(address + path, name, page, options) for name, path in paths.items())
        for name in names:
            if name not in PAGES:
                with serving_file(Path(name)) as address:
                    wrong += check(address, Path(name).stem, page, options)
    if wrong:
        raise SystemExit(f"{wrong} findings.")


if __name__ == "__main__":
    main()
