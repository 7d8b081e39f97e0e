"""A headless Chromium, spoken to over the DevTools protocol: nothing but a browser and a WebSocket is needed."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

_SECONDS = 20.0
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No network but loopback: a page that asks a CDN for anything fails.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


def executable() -> str | None:
    """Return the browser, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class LeftPageError(AssertionError):
    """A page was left before it had answered."""


class Page:
    """One tab, with everything that its console said.

    Attributes:
        errors: Errors and warnings of the console, exceptions that nobody caught, requests that failed.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._id = 0
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._id += 1
        self._socket.send(json.dumps({"id": self._id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=_SECONDS))
            if message.get("id") == self._id:
                if "navigated" in message.get("error", {}).get("message", ""):
                    raise LeftPageError(message)
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.errors.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url')}")
            case "Network.loadingFailed" if not params.get("canceled"):
                self.errors.append(json.dumps(params))

    def run(self, script: str) -> Any:
        """Run an expression in the page, wait for it if it is a promise, and return its value."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def open(self, url: str) -> Self:
        """Go to a URL."""
        result = self.call("Page.navigate", url=url)
        assert "errorText" not in result, result
        self.until("document.readyState === 'complete'")
        return self

    def until(self, condition: str) -> Any:
        """Wait until an expression is true, and return its value."""
        deadline = time.monotonic() + _SECONDS
        while True:
            with suppress(LeftPageError):  # the next page is asked
                value = self.run(f"(() => {{ try {{ return {condition}; }} catch (error) {{ return null; }} }})()")
                if value:
                    return value
            if time.monotonic() > deadline:
                text = self.run("document.body.innerText")
                raise AssertionError(f"never true: {condition}\nconsole: {self.errors}\npage: {text}")
            with suppress(LeftPageError):
                self.run("new Promise((resolve) => setTimeout(resolve, 20))")

    @contextmanager
    def window(self) -> Generator["Page", None, None]:
        """Open another window of the same browser, and close it."""
        target = self.call("Target.createTarget", url="about:blank", newWindow=True)["targetId"]
        host, port = self._socket.remote_address[:2]
        with connect(f"ws://{host}:{port}/devtools/page/{target}", max_size=None, compression=None) as socket:
            yield Page(socket)
        self.call("Target.closeTarget", targetId=target)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a file input, as the dialog does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def resize(self, width: int, height: int) -> None:
        """Give the page a size, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """Save what the page shows, as WebP."""
        shot = self.call("Page.captureScreenshot", format="webp", quality=82)
        path.write_bytes(base64.b64decode(shot["data"]))

    def press_enter(self) -> None:
        """Press the enter key where the focus is."""
        for kind, text in (("keyDown", {"text": "\r"}), ("keyUp", {})):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
            self.call("Input.dispatchKeyEvent", type=kind, **key, **text)

    def click(self, selector: str, text: str = "") -> None:
        """Press what a selector finds, the first that says `text`, when it is there."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".find((node) => node.innerText.includes({json.dumps(text)}) && node.offsetParent !== null)"
        )
        self.until(f"Boolean({find})")
        self.run(f"{find}.click()")

    def type(self, selector: str, text: str) -> None:
        """Write into an input as a user does and leave it, so that any framework notices at once."""
        self.until(f"Boolean(document.querySelector({json.dumps(selector)}))")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)
        self.run("document.activeElement.blur()")


@contextmanager
def browser() -> Generator[Page, None, None]:
    """Start Chromium with a profile of its own, and end it."""
    found = executable()
    assert found is not None, "there is no Chromium"
    with tempfile.TemporaryDirectory(prefix="velithon-browser-", ignore_cleanup_errors=True) as name:
        profile = Path(name)
        process = subprocess.Popen(
            [found, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            target = _target(profile, process)
            with connect(target, max_size=None, compression=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(_SECONDS)


def _target(profile: Path, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Chromium ended with {process.returncode}"
        try:
            port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
        except (OSError, IndexError, StopIteration, httpx.TransportError):
            time.sleep(0.05)
    raise AssertionError("Chromium did not open its debugging port")
