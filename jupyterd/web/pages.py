"""Pages for people: jinja2, imported with the first page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from jupyterd.web.errors import phrase

if TYPE_CHECKING:
    from jinja2 import Environment
    from twisted.web.iweb import IRequest


class Pages:
    """Renders templates: operators' own first, then jupyterd's.

    :param base_url: what all links begin with.
    :param search_path: directories of templates that win over jupyterd's own (``ServerApp.extra_template_paths``).
    :param options: for jinja2's Environment (``ServerApp.jinja_environment_options``).
    :param variables: given to each template (``ServerApp.jinja_template_vars``).
    """

    def __init__(
        self,
        base_url: str,
        search_path: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        self._base_url = base_url
        self._search_path = list(search_path)
        self._options = dict(options or {})
        self._variables = dict(variables or {})
        self._environment: Environment | None = None

    @property
    def environment(self) -> Environment:
        """The jinja2 environment; everything in a template is escaped unless it says otherwise."""
        if self._environment is None:
            from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader

            loader = ChoiceLoader([FileSystemLoader(self._search_path), PackageLoader("jupyterd.web", "templates")])
            defaults = {"autoescape": True, "loader": loader, "extensions": ["jinja2.ext.i18n"]}
            self._environment = Environment(**{**defaults, **self._options})  # noqa: S701
            install = getattr(self._environment, "install_null_translations", None)
            if install is not None:  # operators may have left the extension out
                install(newstyle=True)
            self._environment.globals.update({"base_url": self._base_url, **self._variables})
        return self._environment

    def render(self, name: str, /, **values: Any) -> bytes:
        """The template ``name`` with ``values``, as UTF-8."""
        return self.environment.get_template(name).render(**values).encode()

    def error(self, request: IRequest, status: int, message: str) -> bytes:
        """The page of an error; ``<status>.html`` of an operator wins over ``error.html``."""
        template = self.environment.select_template([f"{status}.html", "error.html"])
        name = getattr(request, "request_id", b"").decode("ascii")
        shown = {"status_code": status, "status_message": phrase(status), "message": message, "request_id": name}
        return template.render(**shown).encode()


def plain(request: IRequest, status: int, message: str) -> bytes:
    """The page of an error without a template."""
    title = f"{status} {phrase(status)}"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1><p>{escape(message)}</p></body></html>"
    ).encode()
