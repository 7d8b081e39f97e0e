"""Bodies that are parsed whole into Python data: JSON and formats like it.

Fields are validated from that data.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException as StarletteHTTPException

from velithon.exceptions import HTTPException
from velithon.signature import runtime
from velithon.signature.bodies.format import Body
from velithon.signature.fields import Errors, Field, Location, Undefined, build_missing_error, list_aliases
from velithon.signature.values import validate_optional

if TYPE_CHECKING:
    from starlette.requests import Request

    from velithon.signature.bodies.format import BodyPlan
    from velithon.signature.model import EndpointModel


class DocumentBody(Body):
    """A body that is parsed whole.

    A subclass names its media types and its label, and says how with `parse`.

    What a request sends in another format stays bytes, which hardly any field takes: 422.
    """

    @abstractmethod
    def parse(self, body: bytes) -> object:
        """Return a body, never an empty one, as Python data.

        Raises:
            Exception: It is not of this format: 422, with the message of the exception.
        """

    def load(self, model: EndpointModel, request: Request, body: bytes) -> object:
        """Return a body as Python data.

        Raises:
            RequestValidationError: It is not of this format.
        """
        try:
            return self.parse(body)
        except Exception as error:
            detail = {
                "type": f"{self.label.lower()}_invalid",
                "loc": ("body",),
                "msg": f"{self.label} decode error",
                "input": {},
                "ctx": {"error": str(error)},
            }
            raise runtime.build_request_error(model, request, [detail], body) from error

    async def read(self, model: EndpointModel, request: Request, strict: bool) -> object:
        """Read a request's body: parsed where it has this format, else bytes.

        `PydanticUndefined` without a body.
        """
        body = await read_bytes(request)
        if not body:
            return Undefined
        return self.load(model, request, body) if self.matches(request, strict) else body

    def write_reading(self, plan: BodyPlan) -> str:
        read = plan.out.constant(self.read, "read_body")
        plan.out.line(f"body = await {read}({plan.model_name}, request, {plan.strict})")
        return "body"

    def write_fields(self, plan: BodyPlan, fields: Sequence[Field], errors: str | None) -> dict[str, str]:
        function = plan.use(validate_embedded if self.embed else validate_whole)
        arguments = {}
        for field in fields:
            name = arguments[field.name] = plan.out.fresh(field.name)
            constant = plan.out.constant(field, f"{field.name}_field")
            plan.out.line(f"{name}, found = {function}({constant}, body)")
            plan.write_found(errors)
        return arguments


def validate_whole(field: Field, body: object) -> tuple[object, Errors]:
    """Validate a field that is the whole body."""
    location = ("body",)
    return field.absent(location) if body is Undefined else field.validate(body, location)


def validate_embedded(field: Field, body: object) -> tuple[object, Errors]:
    """Validate a field that stands under its key in the body."""
    names = [alias for alias, _ in list_aliases(field)]
    location: Location = ("body", names[0])
    value: object = Undefined
    if body is not Undefined and not isinstance(body, bytes):
        if not hasattr(body, "get"):
            return None, [build_missing_error(location)]
        for name in names:
            value = body.get(name, Undefined)
            if value is not Undefined:
                location = ("body", name)
                break
    return validate_optional(field, value, location)


async def read_bytes(request: Request) -> bytes:
    """Read the whole body.

    Raises:
        HTTPException: The body is over its limit, or its stream broke.
    """
    try:
        return await request.body()
    except Exception as error:
        raise build_unreadable_error(error) from error


def build_unreadable_error(error: Exception) -> StarletteHTTPException:
    """Return the answer to a body that cannot be read.

    It is the error itself if that is an `HTTPException`.
    """
    if isinstance(error, StarletteHTTPException):
        return error
    return HTTPException(400, "There was an error parsing the body")
