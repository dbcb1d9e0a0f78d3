"""Settings of the server in the names of programs that once had them: NotebookApp, LabApp, JupyterNotebookApp."""

from __future__ import annotations

import logging
from typing import Any

from traitlets.config import Config

from jupyterd.compat.class_names import resolve

OWNERS: dict[str, str | None] = {
    "NotebookApp": None,
    "LabApp": "jupyterd.frontends.settings.LabApp",
    "JupyterNotebookApp": "jupyterd.frontends.settings.JupyterNotebookApp",
}
"""The sections, and the class that has settings of its own below that name today."""

SILENT = frozenset({"default_url", "log_format", "log_level", "open_browser", "show_banner"})
"""Taken without a word. Source: ``IGNORED_TRAITS`` of notebook_shim 0.2."""

WITHOUT_EFFECT = frozenset(
    {
        "enable_mathjax",
        "extra_nbextensions_path",
        "ignore_minified_js",
        "mathjax_config",
        "mathjax_url",
        "nbserver_extensions",
        "show_banner",
        "skip_dev_build",
        "splice_source",
        "watch",
    }
)
"""Settings of Notebook 6 and of JupyterLab's development that nothing here reads."""


def adopt(config: Config, server: Any, log: logging.Logger) -> None:
    """Give each setting that has moved to ``ServerApp``, in one file or command line; its name there wins.

    :param config: changed in place.
    :param server: the class that has the server's settings.
    """
    for section in OWNERS:
        if section in config:
            _adopt_section(config, section, server.class_trait_names(), log)


def _adopt_section(config: Config, section: str, known: list[str], log: logging.Logger) -> None:
    owner = OWNERS[section]
    own = resolve(owner).class_trait_names() if owner else ()
    for name, value in list(config[section].items()):
        if name in own or isinstance(value, Config):
            continue
        if name in known:
            if name not in SILENT:
                log.warning(
                    "'%s' has moved from %s to ServerApp. This config will be passed to ServerApp. "
                    "Be sure to update your config before our next release.",
                    name,
                    section,
                )
            config.ServerApp.setdefault(name, value)
            del config[section][name]
        elif name not in WITHOUT_EFFECT:
            from difflib import get_close_matches  # for who has mistyped, not for each start

            close = get_close_matches(name, [*own, *known], n=1)
            log.warning(
                "Trait, %s, not found: %s.%s has no effect.%s",
                name,
                section,
                name,
                f" Did you mean `{close[0]}`?" if close else "",
            )


def nested(config: Config) -> Config:
    """Settings that are written below another class (``ServerApp.TerminalManager``), as of their own class alone.

    They win over what is set without a parent, as in traitlets; here not every object is made with a parent.
    """
    found = Config()
    for section in config.values():
        if isinstance(section, Config):
            _collect(found, section)
    return found


def _collect(found: Config, section: Config) -> None:
    for name, inner in section.items():
        if isinstance(inner, Config):
            found[name].merge(inner)
            _collect(found, inner)
