"""Repairs: what customers bring, and how far the work on it is."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from velithon import BackgroundTasks, HTTPException, Path, Query, Router

from workshop.database import Base, Session


class State(StrEnum):
    """How far a repair is."""

    WAITING = "waiting"
    STARTED = "started"
    READY = "ready"


class RepairRow(Base):
    """A repair, as it is kept."""

    __tablename__ = "repairs"

    id: Mapped[int] = mapped_column(primary_key=True)
    bicycle: Mapped[str]
    fault: Mapped[str]
    customer_email: Mapped[str]
    state: Mapped[State] = mapped_column(default=State.WAITING, index=True)


class NewRepair(BaseModel):
    """A repair, as a client sends it."""

    bicycle: Annotated[str, Field(min_length=1, max_length=100)]
    fault: Annotated[str, Field(min_length=1, max_length=1_000)]
    customer_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class Repair(NewRepair):
    """A repair, as clients see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    state: State


class RepairQuery(BaseModel):
    """Which repairs a client wants to see."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    offset: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 20


RepairId = Annotated[int, Path(ge=1)]
router = Router(prefix="/repairs", tags=["repairs"])

# What happens when a repair is new or has changed: each may write in the same transaction, and add tasks that run after
# the answer.
listeners: list[Callable[[Repair, AsyncSession, BackgroundTasks], None]] = []


def tell_listeners(repair: Repair, session: AsyncSession, tasks: BackgroundTasks) -> None:
    """Call the listeners."""
    for listener in listeners:
        listener(repair, session, tasks)


@router.post("", status_code=201)
async def bring(new: NewRepair, session: Session, tasks: BackgroundTasks) -> Repair:
    """Take a bicycle in."""
    row = RepairRow(**new.model_dump())
    session.add(row)
    await session.flush()
    repair = Repair.model_validate(row)
    tell_listeners(repair, session, tasks)
    return repair


@router.get("")
async def find(query: Annotated[RepairQuery, Query()], session: Session) -> list[Repair]:
    """List repairs, the oldest first."""
    statement = select(RepairRow).order_by(RepairRow.id).offset(query.offset).limit(query.limit)
    if query.state is not None:
        statement = statement.where(RepairRow.state == query.state)
    return [Repair.model_validate(row) for row in await session.scalars(statement)]


@router.get("/{repair_id}")
async def show(repair_id: RepairId, session: Session) -> Repair:
    """Show one repair."""
    row = await session.get(RepairRow, repair_id)
    if row is None:
        raise HTTPException(404, "There is no such repair.")
    return Repair.model_validate(row)


@router.put("/{repair_id}/state")
async def set_state(
    repair_id: RepairId, state: Annotated[State, Query()], session: Session, tasks: BackgroundTasks
) -> Repair:
    """Say how far a repair is."""
    row = await session.get(RepairRow, repair_id, with_for_update=True)
    if row is None:
        raise HTTPException(404, "There is no such repair.")
    changed = row.state is not state
    row.state = state
    repair = Repair.model_validate(row)
    if changed:
        tell_listeners(repair, session, tasks)
    return repair
