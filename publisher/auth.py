"""Who may use the API: whoever bears the token (RFC 6750). All of it but the OpenAPI document wants it."""

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from publisher.problem import Problem


class BearerAuth:
    """Answers 401 to a request without the token, before anything of it is read."""

    def __init__(self, app: ASGIApp, *, token: str, open_paths: Collection[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
        elif problem := self._refusal(Headers(scope=scope).get("authorization", "")):
            await problem.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, given: str) -> Problem | None:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            return _unauthorized("wants the header Authorization: Bearer <token>", 'Bearer realm="edgebake"')
        # compare_digest takes the same time wherever the first difference is.
        if not hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token):
            return _unauthorized("the token is not the one in use", 'Bearer realm="edgebake", error="invalid_token"')
        return None


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})
