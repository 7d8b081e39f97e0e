"""The base class of security schemes, and the models that describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from starlette.status import HTTP_401_UNAUTHORIZED

from velithon.exceptions import HTTPException, RegistrationError

if TYPE_CHECKING:
    from velithon._runtime.json_values import JSONObject

__all__ = ["SchemeModel", "SecurityBase"]


class SchemeModel:
    """OpenAPI's description of a scheme.

    It is read by attributes (``model.name``) or, for a document, as a dictionary.

    A plain object instead of a pydantic model: an application that declares no scheme should not pay for one.

    Args:
        members: The members by their OpenAPI names; those that are ``None`` are left out.
    """

    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)

    def __getattr__(self, name: str) -> Any:
        # `type_` and `in_` are how pydantic models of OpenAPI spell what Python would mistake for keywords.
        if name.endswith("_") and not name.startswith("_") and name[:-1] in self.__dict__:
            return self.__dict__[name[:-1]]
        raise AttributeError(f"a security scheme has no {name!r}; it has {', '.join(self.__dict__)}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemeModel) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.__dict__)))

    def __repr__(self) -> str:
        return f"SchemeModel({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    def model_dump(self, *, by_alias: bool = True, exclude_none: bool = True, **options: object) -> JSONObject:
        """Return the description as OpenAPI has it.

        Keys are always OpenAPI's names, and what is `None` is left out.

        Args:
            by_alias: Taken because code written for pydantic models passes it.
            exclude_none: Likewise.
            options: Likewise.
        """
        return _dump(self)  # type: ignore[no-any-return]  # pydantic types what it dumps as Any


def _dump(value: object) -> Any:
    if isinstance(value, SchemeModel):
        return {name: _dump(member) for name, member in value.__dict__.items() if member is not None}
    return dict(value) if isinstance(value, dict) else value


class SecurityBase:
    """A security scheme: a dependency that reads credentials from a request.

    The OpenAPI document describes it.

    A subclass says what it is by calling `__init__`, by setting the attributes, or by attributes of the class.

    Attributes:
        model: OpenAPI's description.
        scheme_name: The name under which documents list it.
        auto_error: Whether a request without credentials is answered 401; otherwise the value is ``None``.
    """

    model: SchemeModel
    scheme_name: str
    auto_error: bool = True

    def __new__(cls, *args: object, **options: object) -> Self:
        """Name a scheme after its class, whether or not its own `__init__` calls this one's."""
        made = super().__new__(cls)
        if not hasattr(cls, "scheme_name"):
            made.scheme_name = cls.__name__
        return made

    def __init__(
        self, model: SchemeModel | None = None, scheme_name: str | None = None, auto_error: bool | None = None
    ) -> None:
        if model is not None:
            self.model = model
        if scheme_name:
            self.scheme_name = scheme_name
        if auto_error is not None:
            self.auto_error = auto_error

    def make_authenticate_headers(self) -> dict[str, str]:
        """Return the headers of a 401: the challenge (RFC 9110, section 11.6.1)."""
        return {"WWW-Authenticate": "Bearer"}

    def make_not_authenticated_error(self) -> HTTPException:
        """Return the exception that answers a request without credentials; subclasses may answer otherwise."""
        return HTTPException(HTTP_401_UNAUTHORIZED, "Not authenticated", self.make_authenticate_headers())

    def refuse(self) -> None:
        """Answer a request without credentials, or let it through as nobody's where ``auto_error`` is off.

        Raises:
            HTTPException: 401, unless ``auto_error`` is off.
        """
        if self.auto_error:
            raise self.make_not_authenticated_error()


def choose_spelling(given: dict[str, str | None], *, required: bool = True) -> str | None:
    """Return the value of an argument that has two spellings.

    Args:
        given: The value of each spelling, ``None`` where it was not used.
        required: Whether one of them must be.

    Raises:
        RegistrationError: Both were used, or none where one must be.
    """
    values = [value for value in given.values() if value is not None]
    names = " or ".join(f"{name}=" for name in given)
    if len(values) > 1:
        raise RegistrationError(f"Say {names}, not both")
    if not values:
        if required:
            raise RegistrationError(f"A security scheme of this kind needs {names}")
        return None
    return values[0]
