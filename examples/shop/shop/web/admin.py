"""The administrator's part, by sqladmin, for whoever is logged in as one."""

from typing import Any
from urllib.parse import urlsplit

from sqladmin import Admin, ModelView
from sqladmin.authentication import AuthenticationBackend
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from velithon import Request, Velithon
from velithon.cache import invalidate
from velithon.middleware.csrf import SAFE_METHODS
from velithon.responses import RedirectResponse
from velithon.sessions import get_session

from shop.database import database
from shop.models import Category, Order, Product, Review, Role, User, Variant
from shop.services import accounts
from shop.services.catalogue import note_lowest_price


class AdminSession(AsyncSession):
    """A session on the engine that the shop has when it is opened."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "bind": database.engine})


class ShopLogin(AuthenticationBackend):
    """Lets administrators in, who have logged in at the shop."""

    def __init__(self) -> None:
        self.middlewares = []  # the shop's own session is there

    async def authenticate(self, request: Any) -> RedirectResponse | bool:
        """Tell whether somebody may see these pages, and whether the form that they send is on one of them."""
        visit = get_session(request)
        if visit.user is None:
            return RedirectResponse("/login?next=/admin/", 303)
        if request.method not in SAFE_METHODS and not _is_from_here(request):
            return False
        async with database.begin() as session:
            return (await accounts.get_user(session, int(visit.user))).role is Role.ADMIN

    async def login(self, request: Any) -> RedirectResponse:
        """Log in at the shop."""
        return RedirectResponse("/login?next=/admin/", 303)

    async def logout(self, request: Any) -> RedirectResponse:
        """Log out there, too."""
        get_session(request).clear()
        return RedirectResponse("/", 303)


def _is_from_here(request: Request) -> bool:
    # These forms have no token: every browser of today says where a request with a body comes from.
    return urlsplit(request.headers.get("origin", "")).netloc == request.url.netloc


class _View(ModelView):
    page_size = 50

    async def after_model_change(self, data: Any, model: Any, is_created: bool, request: Any) -> None:
        """End what is kept of the catalogue, and have a product know its lowest price."""
        product_id = model.product_id if isinstance(model, Variant) else None
        if product_id is not None:
            async with database.begin() as session:
                await note_lowest_price(session, product_id)
        await invalidate(request.app.state.shop.store, "catalogue")


class CategoryView(_View, model=Category):
    """Categories."""

    name_plural = "Categories"
    column_list = (Category.slug, Category.name)
    form_columns = (Category.slug, Category.name)


class ProductView(_View, model=Product):
    """Products; they are taken out of the shop, not deleted: orders know them."""

    can_create = can_delete = False
    column_list = (Product.slug, Product.name, Product.price_cents, Product.is_active)
    column_searchable_list = (Product.name,)
    column_sortable_list = (Product.name, Product.price_cents)
    column_details_list = (Product.slug, Product.name, Product.description, Product.price_cents, Product.is_active)
    form_columns = (Product.name, Product.description, Product.is_active)


class VariantView(_View, model=Variant):
    """Prices; stock changes by differences, which the API has."""

    can_create = can_delete = False
    column_list = (Variant.sku, Variant.name, Variant.price_cents, Variant.stock)
    column_searchable_list = (Variant.sku,)
    column_details_list = column_list
    form_columns = (Variant.name, Variant.price_cents)


class OrderView(_View, model=Order):
    """Orders, to look at: the desk and the API bring them on their way."""

    can_create = can_edit = can_delete = False
    column_list = (Order.number, Order.state, Order.total_cents, Order.created_at)
    column_searchable_list = (Order.number,)
    column_default_sort = (Order.id, True)
    column_details_list = (*column_list, Order.recipient, Order.address)


class UserView(_View, model=User):
    """Users, and what they may do."""

    can_create = can_delete = False
    column_list = (User.email, User.name, User.role, User.created_at)
    column_searchable_list = (User.email,)
    column_details_list = column_list
    form_columns = (User.name, User.role)


class ReviewView(_View, model=Review):
    """Reviews, to look at."""

    can_create = can_edit = can_delete = False
    column_list = (Review.rating, Review.text, Review.created_at)
    column_details_list = column_list


def add_admin(app: Velithon) -> None:
    """Add the pages at `/admin`."""
    admin = Admin(
        app,
        session_maker=async_sessionmaker(class_=AdminSession),
        title="The shop",
        favicon_url="/static/icon.svg",
        authentication_backend=ShopLogin(),
    )
    admin.admin.state.shop = app
    for view in (ProductView, VariantView, CategoryView, OrderView, UserView, ReviewView):
        admin.add_view(view)
