"""Objects from an injector, new for each request where they say so."""
# /// script
# dependencies = ["fastapi-injector"]
# ///

from fastapi import FastAPI, WebSocket
from fastapi_injector import Injected, InjectorMiddleware, SyncInjected, attach_injector, request_scope
from injector import Injector, inject, singleton

from tests.ecosystem.plugin import Clients


class Settings:
    pass


class Basket:
    pass


class Shop:
    @inject
    def __init__(self, settings: Settings, basket: Basket) -> None:
        self.settings = settings
        self.basket = basket


injector = Injector()
injector.binder.bind(Settings, to=Settings, scope=singleton)
injector.binder.bind(Basket, to=Basket, scope=request_scope)
app = FastAPI()
app.add_middleware(InjectorMiddleware, injector=injector)
attach_injector(app, injector)


@app.get("/async")
async def asynchronous(shop: Shop = Injected(Shop), basket: Basket = Injected(Basket)):
    return {"same": shop.basket is basket, "basket": id(basket), "settings": id(shop.settings)}


@app.get("/sync")
def synchronous(settings: Settings = SyncInjected(Settings)):
    return id(settings)


@app.websocket("/ws")
async def chat(websocket: WebSocket, settings: Settings = Injected(Settings)):
    await websocket.accept()
    await websocket.send_json(id(settings))
    await websocket.close()


def test_objects_live_as_long_as_they_say(client: Clients) -> None:
    with client(app) as http:
        answer = http.get("/async").json()
        assert answer["same"]
        assert http.get("/sync").json() == answer["settings"] == http.get("/async").json()["settings"]
        with http.websocket_connect("/ws") as websocket:
            assert websocket.receive_json() == answer["settings"]
