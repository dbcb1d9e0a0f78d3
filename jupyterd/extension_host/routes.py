"""Rules of the web application that are extensions', described for the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.routing import AnyMatches, HostMatches, PathMatches, Rule
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from jupyterd.extensions.routes import matches_everything

STOCK_XSRF = (RequestHandler.check_xsrf_cookie, JupyterHandler.check_xsrf_cookie)
STOCK_LOGIN = (RequestHandler.get_login_url, JupyterHandler.get_login_url)
STOCK = "jupyter_server."


def rules_of(app: Any) -> Iterator[tuple[Rule, bool]]:
    """All rules of an application in their order; and whether each is one of the core's place, tried last."""
    for rule in app.default_router.rules:
        if isinstance(rule.matcher, AnyMatches):
            for own in getattr(rule.target, "rules", ()):
                yield own, True
        elif isinstance(rule.matcher, HostMatches):
            yield from ((own, False) for own in getattr(rule.target, "rules", ()))
        else:
            yield rule, False


def describe(app: Any, known: Iterable[Rule], owner_of: Callable[[Rule], str]) -> list[dict[str, Any]]:
    """The rules of extensions.

    :param known: the core's own rules.
    :param owner_of: the extension that has added a rule.
    """
    own = {id(rule) for rule in known}
    return [
        _described(rule, owner_of(rule))
        for rule, core in rules_of(app)
        if isinstance(rule.matcher, PathMatches) and not (core and id(rule) in own)
    ]


def set_aside(app: Any, known: Iterable[Rule], base_url: str) -> None:
    """Take rules of extensions that match everything out of an application: other extensions' may lie behind them.

    The daemon sends them nothing.
    """
    own = {id(rule) for rule in known}
    for rule in app.default_router.rules:
        rules = getattr(rule.target, "rules", None)
        if isinstance(rules, list):
            rules[:] = [each for each in rules if id(each) in own or not _takes_all(each, base_url)]


def _takes_all(rule: Rule, base_url: str) -> bool:
    return isinstance(rule.matcher, PathMatches) and matches_everything(rule.matcher.regex, base_url)


def of_core(app: Any) -> list[Rule]:
    """The rules that the web application begins with, less those of ``extra_services``."""
    return [rule for rule, core in rules_of(app) if core and _module(rule).startswith(STOCK)]


def _module(rule: Rule) -> str:
    return str(getattr(rule.target, "__module__", ""))


def _described(rule: Rule, owner: str) -> dict[str, Any]:
    handler: Any = rule.target
    is_handler = isinstance(handler, type)
    check = getattr(handler, "check_xsrf_cookie", None)
    login = getattr(handler, "get_login_url", None)
    assert isinstance(rule.matcher, PathMatches)
    return {
        "pattern": rule.matcher.regex.pattern,
        "websocket": is_handler and issubclass(handler, WebSocketHandler),
        "own_xsrf": check is not None and check not in STOCK_XSRF,
        # Who has a login page of its own means that strangers are not led to ours: it is no page, or raises.
        "api": is_handler and (issubclass(handler, APIHandler) or (login is not None and login not in STOCK_LOGIN)),
        "auth": getattr(handler, "auth_resource", None) or "",
        "extension": owner,
    }
