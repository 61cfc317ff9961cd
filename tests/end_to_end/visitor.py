"""Somebody at a browser, without the browser: follows redirects, keeps cookies, posts the forms it was shown."""

import html
import re
import time
from dataclasses import dataclass, field
from http.cookiejar import Cookie, CookieJar
from typing import Any
from urllib.parse import urlencode

import jwt
import requests

from tests.end_to_end.demo import RunningDemo

# What Chromium sends with a page visit, and what fetch() on a page sends.
NAVIGATION = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
FETCH = {"Accept": "application/json", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}
DELIVERED_WITHIN = 60.0  # seconds, on a busy machine; usually one


@dataclass
class Visitor:
    demo: RunningDemo
    http: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str) -> requests.Response:
        return self.http.get(self.demo.site + path, headers=NAVIGATION, timeout=60)

    def sign_in(self, email: str, *, then: str = "/dashboard/") -> requests.Response:
        """By the site's own sign-in address, through the local Clerk's page, and back to `then`."""
        page = self.get(f"/sign-in/?{urlencode({'next': then})}")
        assert page.url.startswith(f"{self.demo.clerk}/sign-in"), page.url
        user_id = re.search(rf'value="(user_\w+)"><b>[^<]*</b><small>{re.escape(email)}', page.text)
        target = re.search(r'name="redirect_url" value="([^"]*)"', page.text)
        assert user_id is not None
        assert target is not None
        form = {"user_id": user_id[1], "redirect_url": html.unescape(target[1])}
        return self.http.post(page.url, data=form, headers=NAVIGATION, timeout=60)

    def submit(self, path: str, **fields: str) -> requests.Response:
        """The form on that page, with these fields filled in."""
        shown = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]*)"', shown.text)
        assert token is not None, f"{path} shows no form: {shown.status_code} {shown.text[:2000]}"
        form = {"csrfmiddlewaretoken": token[1], **fields}
        return self.http.post(shown.url, data=form, headers={**NAVIGATION, "Referer": shown.url}, timeout=60)

    def me(self) -> requests.Response:
        return self.http.get(f"{self.demo.site}/api/v1/me/", headers=FETCH, timeout=60)

    def who(self) -> dict[str, Any]:
        answer = self.me()
        assert answer.status_code == 200, answer.text
        who: dict[str, Any] = answer.json()
        return who

    # --- What ClerkJS on an open page does

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.cookie("__session"), options={"verify_signature": False})
        return claims

    def cookie(self, name: str) -> str:
        """Of the site's host: the local Clerk's has another."""
        return next(str(each.value) for each in self.cookies() if each.name == name)

    def cookies(self) -> list[Cookie]:
        jar: CookieJar = self.http.cookies
        return [cookie for cookie in CookieJar.__iter__(jar) if "localhost" in cookie.domain]

    def forget_token(self) -> None:
        """As a browser would that was closed so long that the cookie is gone, and Clerk's is not."""
        for cookie in self.cookies():
            if cookie.name.startswith("__session"):
                self.http.cookies.clear(cookie.domain, cookie.path, cookie.name)

    def renew_token(self) -> None:
        path = f"/v1/client/sessions/{self.claims['sid']}/tokens"
        browser = {"__clerk_db_jwt": self.cookie("__clerk_db_jwt")}
        headers = {**FETCH, "Origin": self.demo.site}
        answer = self.http.post(self.demo.clerk + path, params=browser, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        for each in self.cookies():
            if each.name.startswith("__session"):
                each.value = answer.json()["jwt"]

    def renew_token_until(self, **expected: str) -> dict[str, Any]:
        """New tokens, as an open page gets them, until the site's answer holds what is expected."""
        deadline = time.monotonic() + DELIVERED_WITHIN
        while True:
            self.renew_token()
            who = self.who()
            if all(who[name] == value for name, value in expected.items()):
                return who
            assert time.monotonic() < deadline, f"Still {who}, not {expected}.\n{self.demo.logs()}"
            time.sleep(0.2)
