"""What an order's change sets off, once it is committed."""

from collections.abc import Callable
from typing import Annotated

from velithon import BackgroundTasks, Depends, Request, Velithon

from shop.models import Order
from shop.schemas.orders import OrderNews

CHANGED = "order.changed"


async def tell(app: Velithon, order: Order) -> None:
    """Tell the application that an order has changed."""
    await app.events.emit(CHANGED, OrderNews(number=order.number, state=order.state).model_dump(mode="json"))


def get_announce(request: Request, tasks: BackgroundTasks) -> Callable[[Order], None]:
    """Return what tells of an order after the response, and so after the commit."""

    def announce(order: Order) -> None:
        tasks.add_task(tell, request.app, order)

    return announce


Announce = Annotated[Callable[[Order], None], Depends(get_announce)]
