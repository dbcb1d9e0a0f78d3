"""Pages from the templates that front ends install."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jupyterd.errors import Failed

if TYPE_CHECKING:
    from jinja2 import Environment

    from jupyterd.frontends.page_config import PageSurroundings


class Templates:
    """The templates of one front end; jinja2 is imported with the first page."""

    def __init__(self, directory: str, custom_css: bool) -> None:
        self._directory = directory
        self._custom_css = custom_css
        self._environment: Environment | None = None

    def render(self, name: str, around: PageSurroundings, page_config: dict[str, Any]) -> bytes:
        """A page; blocks.

        :raises Failed: the front end's files are not where they should be.
        """
        from jinja2 import TemplateNotFound

        try:
            template = self._environment_once().get_template(name)
        except TemplateNotFound:
            place = os.path.join(self._directory, name)
            raise Failed(f'The front end\'s files are not installed: there is no "{place}".') from None
        text: str = template.render(
            page_config=page_config,
            base_url=around.base_url,
            ws_url=around.ws_url,
            custom_css=self._custom_css,
        )
        return text.encode()

    def _environment_once(self) -> Environment:
        if self._environment is None:
            from jinja2 import Environment, FileSystemLoader

            self._environment = Environment(autoescape=True, loader=FileSystemLoader(self._directory))
        return self._environment
