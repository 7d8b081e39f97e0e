"""What a body format is: how a request's body is recognised, read, validated and documented."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, create_model

from velithon import params
from velithon.signature.fields import Field

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from velithon.signature.writer import Writer


class BodyPlan(Protocol):
    """What a body needs of the plan that it is written into.

    Attributes:
        out: The function being written. It has the variables `request` and, once a field has failed, `errors`.
        model_name: The expression of the endpoint's model.
        has_dependencies: Whether something runs between the reading of the body and the validation of its fields.
        strict: Whether a body without a `Content-Type` is of no format.
        form_limits: `max_files` and `max_fields` (counts), `max_part_size` (bytes of one field that is no file).
    """

    out: Writer
    model_name: str
    has_dependencies: bool
    strict: bool
    form_limits: Mapping[str, int]

    def use(self, function: Callable[..., object]) -> str:
        """Return the name under which the plan calls a function."""

    def write_found(self, errors: str | None) -> None:
        """Write that the errors in the variable `found` are added to the variable `errors`."""


class Body(ABC):
    """The body of an endpoint's requests in one format.

    A format is a subclass, registered with `velithon.signature.bodies.register_body`. The body of an endpoint is one
    object of it, made at registration.

    Args:
        fields: The body parameters of the endpoint and of everything that it depends on; at least one.

    Attributes:
        fields: The same.
        embed: Whether each field stands under its own key instead of being the whole body.
        media_types: What `Body(media_type=...)` and a request's `Content-Type` say for this format.
        label: The format's name, for messages and `velithon explain`.
        needs_exit: Whether reading a body leaves something to close after the response, on the request's exit stack.
    """

    media_types: ClassVar[tuple[str, ...]] = ()
    label: ClassVar[str]
    needs_exit: ClassVar[bool] = False

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = list(fields)
        self.embed = self.must_embed()

    @classmethod
    def is_declared(cls, fields: Sequence[Field]) -> bool:
        """Tell whether an endpoint with these body fields takes this format.

        One of them names its media type.
        """
        return any(getattr(field.info, "media_type", None) in cls.media_types for field in fields)

    def must_embed(self) -> bool:
        """Tell whether each field stands under its own key."""
        # The same parameter in several dependencies is one field.
        return len({field.name for field in self.fields}) > 1 or bool(getattr(self.fields[0].info, "embed", None))

    def matches(self, request: HTTPConnection, strict: bool) -> bool:
        """Tell whether a request carries this format.

        Args:
            request: The request; only its headers are looked at.
            strict: Whether a body without a `Content-Type` does not.
        """
        content_type = request.headers.get("content-type")
        if not content_type:
            return not strict
        return content_type.partition(";")[0].strip().lower() in self.media_types

    @abstractmethod
    def write_reading(self, plan: BodyPlan) -> str:
        """Write the reading of the body, which comes before everything else in a plan.

        Returns:
            The expression of what was received, which the exception of a failed validation shows.
        """

    @abstractmethod
    def write_fields(self, plan: BodyPlan, fields: Sequence[Field], errors: str | None) -> dict[str, str]:
        """Write the validation of one callable's body fields.

        Args:
            plan: The plan, in which the reading is written already.
            fields: The callable's.
            errors: The variable that collects errors.

        Returns:
            Parameter name -> the variable of its value.
        """

    def describe(self, name: str) -> Field:
        """Return the whole body as one field, for documents.

        They show its schema, its media type, whether it is required.

        Args:
            name: What the schema of several fields is named after.
        """
        if not self.embed:
            return self.fields[0]
        return self.build_whole_field(self.build_whole_model(name, self.fields), params.Body, self.media_types[0])

    @staticmethod
    def build_whole_model(name: str, fields: Sequence[Field], config: ConfigDict | None = None) -> type[BaseModel]:
        """Return a model with all fields, for documents."""
        definitions: dict[str, Any] = {field.name: (field.pydantic_annotation, field.info) for field in fields}
        model: type[BaseModel] = create_model(f"Body_{name}", __config__=config, **definitions)
        return model

    def build_whole_field(
        self, model: type[BaseModel], kind: type[params.Body], preferred_media_type: str | None = None
    ) -> Field:
        """Return the field of a model of the whole body.

        Args:
            model: The model.
            kind: The kind of parameter; the media type is that of the fields of this kind, where they agree.
            preferred_media_type: The media type where they do not, if one of them has it.
        """
        media_types = {field.info.media_type for field in self.fields if isinstance(field.info, kind)}
        options: dict[str, Any] = {"annotation": model, "alias": "body"}
        if not any(field.required for field in self.fields):
            options["default"] = None
        if preferred_media_type in media_types:
            options["media_type"] = preferred_media_type
        elif len(media_types) == 1:
            options["media_type"] = media_types.pop()
        return Field("body", kind(**options))
