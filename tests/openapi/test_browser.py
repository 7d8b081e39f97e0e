"""The pages in a real browser: read, try out, log in, with nothing to complain about in the console."""

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.browser import Page, browser, executable
from tests.servers import Server, serve
from velithon.openapi import assets

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(executable() is None, reason="there is no Chromium: apt-get install chromium"),
]

SOURCE = '''
from typing import Annotated
from pydantic import BaseModel, Field
from velithon import Depends, File, Form, Header, HTTPException, Query, Request, UploadFile, Velithon
from velithon.openapi.docs import get_swagger_ui_html
from velithon.responses import RedirectResponse, StreamingResponse
from velithon.security import OAuth2AuthorizationCodeBearer, OAuth2PasswordBearer, OAuth2PasswordRequestForm

class Item(BaseModel):
    """A thing with **parts**."""
    name: str = Field(examples=["lamp"])
    size: int = Field(1, ge=1, description="In `cm`.")
    parts: "list[Item]" = []

oauth2 = OAuth2PasswordBearer(tokenUrl="token", scopes={{"read": "Read things."}})
code = OAuth2AuthorizationCodeBearer(authorizationUrl="authorize", tokenUrl="code-token", scheme_name="Code")
EVIL = {evil!r}
app = Velithon(title="Shop " + EVIL, description="# Head\\n\\nSome [link](https://example.com) " + EVIL, {options})

@app.get("/items/{{item_id}}", tags=["items"], summary="Read " + EVIL)
async def read(
    item_id: int,
    q: Annotated[list[str], Query()] = [],
    on: bool = False,
    x_tag: Annotated[str, Header()] = "none",
):
    """Find an item.

    - one
    - two
    """
    return {{"item_id": item_id, "q": q, "on": on, "x_tag": x_tag}}

@app.post("/items", tags=["items"], status_code=201)
async def create(item: Item) -> Item:
    return item

@app.post("/upload", tags=["forms"])
async def upload(note: Annotated[str, Form()], file: UploadFile):
    return {{"note": note, "size": len(await file.read())}}

@app.get("/me", tags=["users"])
async def me(token: Annotated[str, Depends(oauth2)]):
    return {{"token": token}}

@app.get("/coded", tags=["users"])
async def coded(token: Annotated[str, Depends(code)]):
    return {{"coded": token}}

@app.post("/token", tags=["users"])
async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
    if form.password != "secret":
        raise HTTPException(400, "Incorrect")
    return {{"access_token": form.username + "-token", "token_type": "bearer"}}

@app.get("/authorize", include_in_schema=False)
async def authorize(redirect_uri: str, state: str, code_challenge: str, client_id: str):
    return RedirectResponse(redirect_uri + "?code=abc&state=" + state, 303)

@app.post("/code-token", include_in_schema=False)
async def code_token(request: Request):
    form = await request.form()
    assert form["code"] == "abc" and form["code_verifier"]
    return {{"access_token": "coded-token", "token_type": "bearer"}}

@app.get("/lines", tags=["items"], response_class=StreamingResponse)
async def lines():
    async def each():
        for number in range(3):
            yield f"line {{number}}\\n"
    return StreamingResponse(each(), media_type="text/plain")

hostile = Velithon()

@hostile.get("/a", tags=["用户"], openapi_extra={{"externalDocs": {{"url": "javascript:document.title='owned'"}}}})
@hostile.get("/b", tags=["订单"])
async def listed():
    return []

app.mount("/hostile", hostile)

@app.get("/by-hand", include_in_schema=False)
async def by_hand():
    return get_swagger_ui_html(openapi_url="/openapi.json", title="By hand")
'''
EVIL = """</script><script>document.title = 'owned'</script><img src=x onerror="document.title = 'owned'">"""


@pytest.fixture(scope="module")
def ours() -> Generator[Server, None, None]:
    """A server on which the pages are our own."""
    options = 'swagger_ui_parameters={"displayRequestDuration": True}'
    with serve(SOURCE.format(options=options, evil=EVIL)) as server:
        yield server


@pytest.fixture(scope="module")
def foreign() -> Generator[Server, None, None]:
    """A server on which `/docs` is what an installed package carries."""
    if not assets.is_carried("swagger-ui-bundle.js"):
        pytest.skip("no installed package carries Swagger UI")
    with serve(SOURCE.format(options='docs_viewer="swagger"', evil=""), "uvicorn") as server:
        yield server


@pytest.fixture(scope="module")
def shared_page() -> Generator[Page, None, None]:
    """A tab."""
    with browser() as page:
        yield page


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The tab, with nothing on it and nothing said."""
    shared_page.open("about:blank")
    shared_page.errors.clear()
    return shared_page


def test_our_page_tries_operations_out(page: Page, ours: Server) -> None:
    """Open an operation, fill it in, execute it, see the answer."""
    page.open(f"{ours.url}/docs")
    page.until("document.querySelectorAll('details.operation').length === 7")
    assert page.run("document.title").startswith("Shop </script>")
    read = '[id="/items/read_items__item_id__get"]'
    page.click(f"{read} > summary")
    assert page.until(f"document.querySelector('{read} ul li').innerText") == "one"
    page.click(f"{read} button", "Try it out")
    page.type(f'{read} [aria-label="item_id (path)"]', "7")
    page.type(f'{read} [aria-label="q (query)"]', "a b\n&c")
    page.type(f'{read} [aria-label="x-tag (header)"]', "tagged")
    page.run(f"""document.querySelector('{read} [aria-label="on (query)"]').value = "true" """)
    page.click(f"{read} button", "Execute")
    assert page.until(f"document.querySelector('{read} .status-code').innerText") == "200"
    body = page.until(f"document.querySelector('{read} .answer-body').innerText")
    assert json.loads(body) == {"item_id": 7, "q": ["a b", "&c"], "on": True, "x_tag": "tagged"}
    assert " ms" in page.run(f"document.querySelector('{read} .answer-status').innerText")
    assert "curl -X 'GET'" in page.run(f"document.querySelector('{read} .output').innerText")
    assert page.errors == []


def sample(page: Page, operation: str, language: str) -> str:
    """Choose a language and return the operation's code in it."""
    page.click(f"{operation} .language", language)
    return str(page.run(f"document.querySelector('{operation} .samples code').textContent"))


def test_code_samples_send_what_was_typed(page: Page, ours: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """As curl, in JavaScript and in Python; each is run and gets the endpoint's answer."""
    page.open(f"{ours.url}/docs#/items/create_items_post")
    create = '[id="/items/create_items_post"]'
    page.until(f"Boolean(document.querySelector('{create} .samples'))")
    page.click(f"{create} button", "Try it out")
    page.type(f"{create} textarea.body", '{"name": "it\'s \\"old\\"", "size": 3, "parts": []}')
    expected = {"name": 'it\'s "old"', "size": 3, "parts": []}
    command = sample(page, create, "curl")
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(answer.stdout) == expected
    exec(sample(page, create, "Python"), {})
    assert json.loads(capsys.readouterr().out.removeprefix("201 ")) == expected
    script = sample(page, create, "JavaScript").replace("console.log(", "return [").removesuffix(");") + "]"
    assert json.loads(page.run(f"(async () => {{ {script} }})()")[1]) == expected
    assert page.errors == []


def test_a_sample_names_what_is_still_to_be_filled_in(page: Page, ours: Server) -> None:
    """Path parameters in braces, and where a token belongs."""
    page.open(f"{ours.url}/redoc")
    page.until("document.querySelectorAll('.samples').length === 7")
    read, me = '[id="/items/read_items__item_id__get"]', '[id="/users/me_me_get"]'
    assert "/items/{item_id}" in sample(page, read, "curl")
    assert "authorization: Bearer YOUR_TOKEN" in sample(page, me, "curl")
    assert page.errors == []


def test_search_contents_and_colours(page: Page, ours: Server) -> None:
    """The search hides what does not fit, the switch is kept, and on a phone the contents are folded."""
    page.open(f"{ours.url}/docs")
    page.until("document.querySelectorAll('nav.contents li').length === 7")
    page.type("nav.contents input", "x-tag items")
    page.until("document.querySelector('.count').innerText === '1 of 7 operations'")
    assert page.run("document.querySelectorAll('main .operation:not([hidden])').length") == 1
    page.click(".scheme-switch")
    page.click(".scheme-switch")
    page.open(f"{ours.url}/docs?again")
    page.until("document.querySelector('.scheme-switch')?.innerText === 'Colours: dark'")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    page.click(".scheme-switch")
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    try:
        page.until("getComputedStyle(contents).display === 'none'")
        page.click(".contents-open")
        page.until("getComputedStyle(contents).display === 'block'")
        page.click("nav.contents a", "Upload")
        page.until("getComputedStyle(contents).display === 'none'")
        assert page.run("location.hash") == "#/forms/upload_upload_post"
        page.until("document.querySelector('[id=\"/forms/upload_upload_post\"]').open")
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")
    assert page.errors == []


def test_tags_of_any_alphabet_and_addresses_of_any_kind(page: Page, ours: Server) -> None:
    """Contents lead to each tag, no address runs code, and one that is not encoded well is no error."""
    page.open(f"{ours.url}/hostile/docs#/100%")
    page.until("document.querySelectorAll('nav.contents h2 a').length >= 2")
    links = "[...document.querySelectorAll('nav.contents h2 a')].slice(0, 2).map((link) => link.getAttribute('href'))"
    assert page.run(links) == ["#/订单", "#/用户"]
    page.click("nav.contents h2 a", "用户")
    page.until("document.querySelector('nav.contents h2 a[aria-current]')?.innerText === '用户'")
    page.run("document.querySelectorAll('main details').forEach((item) => { item.open = true; })")
    page.until("document.querySelector('main').textContent.includes('javascript:document')")
    assert page.run("document.querySelectorAll('[href^=javascript]').length") == 0
    assert page.errors == []


def test_our_page_sends_bodies(page: Page, ours: Server) -> None:
    """JSON comes as an example; its validation errors are shown like any answer; streams are read."""
    page.open(f"{ours.url}/docs")
    create = '[id="/items/create_items_post"]'
    page.click(f"{create} > summary")
    page.click(f"{create} button", "Try it out")
    example = json.loads(page.until(f"document.querySelector('{create} textarea.body').value"))
    assert example["name"] == "lamp"
    assert example["size"] == 1
    page.type(f"{create} textarea.body", '{"name": "desk", "size": 3}')
    page.click(f"{create} button", "Execute")
    assert page.until(f"document.querySelector('{create} .status-code').innerText") == "201"
    body = page.until(f"document.querySelector('{create} .answer-body').innerText")
    assert json.loads(body) == {"name": "desk", "size": 3, "parts": []}
    lines = '[id="/items/lines_lines_get"]'
    page.click(f"{lines} > summary")
    page.click(f"{lines} button", "Try it out")
    page.click(f"{lines} button", "Execute")
    page.until(f"document.querySelector('{lines} .answer-body').innerText.includes('line 2')")
    assert page.errors == []


def test_our_page_uploads_files(page: Page, ours: Server, tmp_path: Path) -> None:
    """A multipart form with a text field and a file."""
    page.open(f"{ours.url}/docs")
    upload = '[id="/forms/upload_upload_post"]'
    page.click(f"{upload} > summary")
    page.click(f"{upload} button", "Try it out")
    page.type(f'{upload} [aria-label="note (form)"]', "hello")
    file = tmp_path / "file.txt"
    file.write_text("12345")
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector=f"{upload} input[type=file]")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])
    page.click(f"{upload} button", "Execute")
    body = page.until(f"document.querySelector('{upload} .answer-body').innerText")
    assert json.loads(body) == {"note": "hello", "size": 5}
    assert page.errors == []


def test_our_page_logs_in(page: Page, ours: Server) -> None:
    """OAuth2 with a password: a refusal is told, then the token goes along."""
    page.open(f"{ours.url}/docs")
    page.click("button.authorize-open", "Authorize")
    form = "form[data-scheme=OAuth2PasswordBearer]"
    page.type(f"{form} [name=username]", "ann")
    page.type(f"{form} [name=password]", "wrong")
    page.click(f"{form} button[type=submit]")
    page.until(f"document.querySelector('{form} .status').innerText.includes('Incorrect')")
    # What the browser itself says of the refused login.
    assert all("400" in error for error in page.errors)
    page.errors.clear()
    page.type(f"{form} [name=password]", "secret")
    page.run(f"document.querySelector('{form} [value=read]').click()")
    page.click(f"{form} button[type=submit]")
    page.until(f"document.querySelector('{form} .status').innerText === 'Authorized.'")
    page.click("dialog button", "Close")
    assert page.until("document.querySelector('button.authorize-open').innerText") == "Authorize (1 active)"
    me = '[id="/users/me_me_get"]'
    page.click(f"{me} > summary")
    page.click(f"{me} button", "Try it out")
    page.click(f"{me} button", "Execute")
    body = page.until(f"document.querySelector('{me} .answer-body').innerText")
    assert json.loads(body) == {"token": "ann-token"}
    assert page.errors == []


def test_our_page_logs_in_by_a_redirect(page: Page, ours: Server) -> None:
    """OAuth2 with a code and PKCE, through the redirect page in a window of its own."""
    page.open(f"{ours.url}/docs")
    page.click("button.authorize-open", "Authorize")
    form = "form[data-scheme=Code]"
    page.type(f"{form} [name=client_id]", "me")
    page.until(f"Boolean(document.querySelector('{form} button'))")
    press = f"document.querySelector('{form} button[type=submit]').click()"
    # A window is only opened on a user's gesture.
    page.call("Runtime.evaluate", expression=press, userGesture=True)
    page.until(f"document.querySelector('{form} .status').innerText === 'Authorized.'")
    page.click("dialog button", "Close")
    coded = '[id="/users/coded_coded_get"]'
    page.click(f"{coded} > summary")
    page.click(f"{coded} button", "Try it out")
    page.click(f"{coded} button", "Execute")
    assert json.loads(page.until(f"document.querySelector('{coded} .answer-body').innerText")) == {
        "coded": "coded-token"
    }
    assert page.errors == []


def test_our_reader_shows_everything(page: Page, ours: Server) -> None:
    """All operations open, a table of contents with a filter, nothing to send with."""
    page.open(f"{ours.url}/redoc")
    page.until("document.querySelectorAll('article.operation').length === 7")
    assert page.run("document.querySelectorAll('nav.contents li').length") == 7
    assert page.run("document.querySelectorAll('.try-out, .execute').length") == 0
    page.type("nav.contents input", "upload")
    page.until("document.querySelectorAll('nav.contents li:not([hidden])').length === 1")
    page.click("summary", "Item")
    page.until("[...document.querySelectorAll('.properties .name')].some((node) => node.innerText === 'parts')")
    assert "owned" not in page.run("document.title").split("Shop")[0]
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.errors == []


def test_our_page_by_hand_needs_no_files(page: Page, ours: Server) -> None:
    """The script in the page runs under the page's own policy."""
    page.open(f"{ours.url}/by-hand")
    page.until("document.querySelectorAll('details.operation').length === 7")
    assert page.errors == []


def test_our_page_can_be_used_by_keyboard(page: Page, ours: Server) -> None:
    """Every control has a name, and an operation opens with the enter key."""
    page.open(f"{ours.url}/docs")
    create = '[id="/items/create_items_post"]'
    page.until(f"Boolean(document.querySelector('{create}'))")
    page.run(f"document.querySelector('{create} > summary').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r")
    page.call("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter")
    page.until(f"document.querySelector('{create}').open")
    page.until(f"Boolean(document.querySelector('{create} .details'))")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in tree if node.get("role", {}).get("value") in {"button", "textbox", "combobox"}]
    assert len(controls) > 2
    assert [node for node in controls if not node["name"].get("value")] == []
    assert page.errors == []


def test_swagger_ui_works_under_our_policy(page: Page, foreign: Server) -> None:
    """Open, try out, execute, log in: Swagger UI from an installed package, with no network."""
    page.open(f"{foreign.url}/docs")
    read = "#operations-items-read_items__item_id__get"
    page.click(f"{read} .opblock-summary-control")
    page.click(f"{read} .try-out__btn", "Try it out")
    page.type(f'{read} tr[data-param-name="item_id"] input:not([disabled])', "7")
    page.click(f"{read} button.execute", "Execute")
    status = f"document.querySelector('{read} .live-responses-table tbody .response-col_status').innerText"
    assert page.until(status).startswith("200")
    assert '"item_id": 7' in page.until(
        f"document.querySelector('{read} .live-responses-table .highlight-code').innerText"
    )
    page.click(".btn.authorize", "Authorize")
    page.type("#oauth_username", "ann")
    page.type("#oauth_password", "secret")
    page.click(".modal-btn.authorize", "Authorize")
    page.until("document.querySelector('.auth-container').innerText.includes('Authorized')")
    page.click(".btn-done", "Close")
    me = "#operations-users-me_me_get"
    page.click(f"{me} .opblock-summary-control")
    page.click(f"{me} .try-out__btn", "Try it out")
    page.click(f"{me} button.execute", "Execute")
    answer = f"document.querySelector('{me} .live-responses-table .highlight-code').innerText"
    assert "ann-token" in page.until(answer)
    assert page.errors == []


def test_the_reader_next_to_swagger_ui_works(page: Page, foreign: Server) -> None:
    """It is always ours."""
    page.open(f"{foreign.url}/redoc")
    page.until("document.body.innerText.includes('/items/{item_id}')")
    assert page.errors == []
