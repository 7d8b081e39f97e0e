"""Objects from a container by `@inject`, in endpoints and dependencies, with a resource of the request."""
# /// script
# dependencies = ["dependency-injector"]
# ///

import sys
from typing import Annotated

from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, inject
from fastapi import Depends, FastAPI

from tests.ecosystem.plugin import Clients

events = []


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name


def open_session():
    events.append("open")
    yield "session"
    events.append("closed")


class Container(containers.DeclarativeContainer):
    config = providers.Configuration()
    shop = providers.Singleton(Shop, name=config.name)
    session = providers.Resource(open_session)


app = FastAPI()


@inject
def upper(shop: Annotated[Shop, Depends(Provide[Container.shop])]) -> str:
    return shop.name.upper()


@app.get("/default")
@inject
async def default(q: int = 1, shop: Shop = Depends(Provide[Container.shop]), name: str = Depends(upper)):
    return {"shop": shop.name, "upper": name, "q": q}


@app.get("/annotated")
@inject
def annotated(name: Annotated[str, Depends(Provide[Container.config.name])]):
    return name


@app.get("/closing")
@inject
async def closing(session: Annotated[str, Depends(Closing[Provide[Container.session]])]):
    events.append(session)


container = Container()
container.config.from_dict({"name": "lamps"})
container.wire(modules=[sys.modules[__name__]])


def test_objects_are_injected(client: Clients) -> None:
    http = client(app)
    assert http.get("/default?q=2").json() == {"shop": "lamps", "upper": "LAMPS", "q": 2}
    assert http.get("/default?q=x").status_code == 422
    assert http.get("/annotated").json() == "lamps"


def test_a_resource_is_closed_after_its_request(client: Clients) -> None:
    events.clear()
    assert client(app).get("/closing").status_code == 200
    assert events == ["open", "session", "closed"]


def test_a_provider_is_overridden(client: Clients) -> None:
    with container.shop.override(Shop("another")):
        assert client(app).get("/default").json()["shop"] == "another"


def test_nothing_of_it_is_a_parameter(client: Clients) -> None:
    document = client(app).get("/openapi.json").json()["paths"]
    assert [parameter["name"] for parameter in document["/default"]["get"]["parameters"]] == ["q"]
    assert "parameters" not in document["/annotated"]["get"]
