"""Conditional requests: who has the present answer already is told so, and sent nothing (RFC 9110, 13.1)."""

import hashlib
from http import HTTPStatus
from typing import Any

from django.utils.cache import get_conditional_response, patch_cache_control
from rest_framework.request import Request
from rest_framework.views import APIView


class ConditionalView(APIView):
    """Gives each answer to a GET a weak ETag of its content, which depends on who asks."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer: Any = super().finalize_response(request, response, *args, **kwargs)
        if request.method in {"GET", "HEAD"} and answer.status_code == HTTPStatus.OK:
            answer.add_post_render_callback(lambda rendered: conditional(request, rendered))
        return answer


def conditional(request: Request, rendered: Any) -> Any:
    etag = f'W/"{hashlib.sha256(rendered.content).hexdigest()[:32]}"'
    rendered.headers["ETag"] = etag
    patch_cache_control(rendered, private=True, no_cache=True)
    return get_conditional_response(request._request, etag=etag, response=rendered)
