"""Several files in one body: a form, as browsers and ``curl -F`` send it."""

from typing import Any

import python_multipart  # noqa: F401  Starlette reads forms by it, and asserts that it is there
from starlette.exceptions import HTTPException
from starlette.requests import Request

from msflow_jax.serving.parameters import takes_form
from msflow_jax.serving.uploads import MOST_IMAGES

_FORM = "multipart/form-data"


async def files_of(
    request: Request, endpoint: str, content: bytes
) -> tuple[tuple[str, bytes], ...]:
    """Names and bytes of the files of a form; none of a body that is no form.

    Args:
        request: whose body was read.
        endpoint: that it asks.
        content: the body.

    Raises:
        ValueError: a form that is damaged, holds no file or something else, or that an endpoint of one
            file got.
    """
    if not request.headers.get("content-type", "").lower().startswith(_FORM):
        return ()
    if not takes_form(endpoint):
        raise ValueError(f"/{endpoint} takes the bytes of one file as the body, not a form")
    if not content.rstrip().endswith(b"--"):  # its last line; or else files may be missing
        raise ValueError("the form cannot be read: it has no end")

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    try:
        async with Request(request.scope, receive).form(
            max_files=MOST_IMAGES, max_fields=0
        ) as form:
            found = [
                (one.filename or "image", await one.read())
                for _, one in form.multi_items()
                if not isinstance(one, str)
            ]
    except HTTPException as error:  # of a form that cannot be read
        raise ValueError(f"the form cannot be read: {error.detail}") from error
    if not found:
        raise ValueError("the form holds no file: send images, as curl -F image=@scan.png does")
    return tuple(found)
