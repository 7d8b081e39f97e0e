"""The formats of request bodies, one module each: JSON, forms, and what an application registers.

A format is a subclass of `Body`, or of `DocumentBody` where bytes are parsed into Python data, given to
`register_body`. Everything else (plans, documents, `velithon explain`) asks the body and knows no format.
"""

from velithon.signature.bodies.document import DocumentBody
from velithon.signature.bodies.form import FormBody
from velithon.signature.bodies.format import Body, BodyPlan
from velithon.signature.bodies.json import JSONBody
from velithon.signature.bodies.registry import register_body, unregister_body

__all__ = ["Body", "BodyPlan", "DocumentBody", "FormBody", "JSONBody", "register_body", "unregister_body"]
