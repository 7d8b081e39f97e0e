"""The application: what it is made of."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from velithon import Depends, Middleware, Velithon
from velithon.middleware.logging import LoggingMiddleware
from velithon.middleware.request_id import RequestIDMiddleware
from velithon.middleware.security_headers import SecurityHeadersMiddleware

from workshop import accounts, repairs
from workshop.board import add_board
from workshop.database import create_tables, get_engine
from workshop.messages import promise_message
from workshop.settings import get_settings


@asynccontextmanager
async def lifespan(app: Velithon) -> AsyncGenerator[None, None]:
    """Look at the settings and the database before the first request."""
    get_settings()
    await create_tables()
    yield
    await get_engine().dispose()


app = Velithon(
    title="Workshop",
    version="1.0.0",
    lifespan=lifespan,
    max_body_size=64 * 1024,
    channels=os.environ.get("WORKSHOP_CHANNELS_URL"),  # in this process where there is none
    jobs=os.environ.get("WORKSHOP_JOBS_URL"),  # likewise
    middleware=[
        Middleware(SecurityHeadersMiddleware),
        Middleware(LoggingMiddleware),
        Middleware(RequestIDMiddleware),
    ],
)
app.include_router(accounts.router)
app.include_router(repairs.router, dependencies=[Depends(accounts.current_mechanic)])
add_board(app)
repairs.listeners.append(promise_message)


@app.get("/health")
async def health() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "up"}
