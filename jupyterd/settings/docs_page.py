"""Page of all settings, ``docs/settings.md``, from the code: ``python -m jupyterd.settings.docs_page`` writes it anew.

Types, defaults and meanings are the traits' own. What traits do not say stands here: units, since when a setting is
there, and what SIGHUP reads again. A test holds all of it against the classes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitlets import Bool, Bytes, Callable, Dict, Enum, Float, Integer, List, Set, TraitType, Unicode

from jupyterd.compat.class_names import known_classes
from jupyterd.settings.deprecated import MOVED, NO_EFFECT, NO_EFFECT_ELSEWHERE
from jupyterd.settings.server_app import ServerApp
from jupyterd.settings.subcommands import JupyterServerListApp, JupyterServerStopApp
from jupyterd.traittypes import ClassName

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "settings.md"

FIRST = "0.1.0"
SINCE: dict[str, str] = {}
"""``Class.setting`` → the version it came with, where that is not :data:`FIRST`."""

_UNITS = (
    (r".*_mb", "MB"),
    (r"iopub_data_rate_limit", "bytes/s"),
    (r"iopub_msg_rate_limit", "messages/s"),
    (r".*_bytes|max_(body|buffer|message)_size|.*memory_limit|answer_limit", "bytes"),
    (
        r".*(_timeout|_seconds|_interval|_interval_max|_max_age|_wait|_after|_window|_grace|_pad|_start_time)|start_grace"
        r"|time_to_dead|refresh_seconds|.*ping_(interval|timeout)",
        "seconds",
    ),
    (r".*", "number"),
)
"""Units of numeric settings by their names; the first that fits."""

_WORDS: dict[type[Any], str] = {
    ClassName: "class",
    Integer: "int",
    Float: "float",
    Bool: "bool",
    Bytes: "bytes",
    Unicode: "text",
    List: "list",
    Set: "set",
    Dict: "dict",
    Enum: "one of a few words",
    Callable: "function",
}

RELOADED = {
    "ServerApp": {
        "allow_credentials", "allow_origin", "allow_origin_pat", "allow_remote_access", "allow_unauthenticated_access",
        "certfile", "client_ca", "disable_check_xsrf", "keyfile", "local_hostnames", "log_level", "log_levels",
        "password", "ssl_options", "token", "tornado_settings", "trust_xheaders",
    },
    "IdentityProvider": {"token"},
    "PasswordIdentityProvider": {"hashed_password"},
}  # fmt: skip
"""What SIGHUP reads again (:func:`jupyterd.app.reload.reload`); of certificates the files' content."""

BORROWED = {
    "answer_yes": "Answer yes to every question.",
    "config_file": "This file is read instead of the server's own.",
    "config_file_name": "What files are called that are read beside the server's own.",
    "generate_config": "Write a file with all settings and their defaults, and end.",
    "log_datefmt": "How times look in the log, for time.strftime.",
    "log_format": "How lines of the log look.",
    "log_level": "The least level that is logged: a name (DEBUG, INFO ...) or its number.",
    "logging_config": "Handlers of the logger ServerApp, as for logging.config.dictConfig; console is our own log.",
    "show_config": "Show the settings that are in force, and end.",
    "show_config_json": "The same as JSON.",
}
"""Meanings of what traitlets and jupyter_core bring; theirs may be worded otherwise in another release."""

WITHOUT_EFFECT = {
    **NO_EFFECT,
    **NO_EFFECT_ELSEWHERE,
    "login_handler_class": "logins are an identity provider's, and Twisted's",
    "logout_handler_class": "logouts are an identity provider's, and Twisted's",
    "collaborative": "jupyter-collaboration is an extension now",
    "debug": "nothing is polled",
}

INTRODUCTION = f"""# Settings

Every setting of jupyterd's classes, from the code (`python -m jupyterd.settings.docs_page` writes it). How they are
given is in [configuration](configuration.md); `c.Class.setting = value` in a file is `--Class.setting=value` on the
command line. All are there since {FIRST} unless their row says otherwise. **↻**: read again at SIGHUP, or by
`systemctl reload`; all others need a restart. *depends*: the default is found when the server starts.

Settings of the libraries' classes (`KernelManager`, `Session`, `KernelSpecManager`, `KernelProvisionerFactory` of
jupyter_client, `NotebookNotary` of nbformat, `EventLogger` of jupyter_events) are theirs: `jupyterd --help-all` lists
them, and [kernels](kernels.md) says what they mean here.
"""


def page() -> str:
    """All of it."""
    return "\n".join([INTRODUCTION, *(section(kind, rows) for kind, rows in sections())])


def sections() -> Iterator[tuple[type[Any], dict[str, TraitType[Any, Any]]]]:
    """Each class that has settings of its own, ``ServerApp`` first, and these settings."""
    kinds: list[Any] = [ServerApp, *known_classes(), JupyterServerListApp, JupyterServerStopApp]
    for kind in kinds:
        bases = [base for base in kinds if base is not kind and issubclass(kind, base)]
        inherited = {name for base in bases for name in base.class_traits(config=True)}
        own = {
            name: trait
            for name, trait in sorted(kind.class_traits(config=True).items())
            if name not in inherited and _is_ours(trait)
        }
        if kind is ServerApp:
            own = dict(sorted(kind.class_traits(config=True).items()))
        if own:
            yield kind, own


def _is_ours(trait: TraitType[Any, Any]) -> bool:
    return str(getattr(trait.this_class, "__module__", "")).startswith("jupyterd.")


def section(kind: type[Any], rows: dict[str, TraitType[Any, Any]]) -> str:
    """One class: its name, who inherits from it, its table."""
    heirs = sorted(
        {other.__name__ for other in known_classes() if issubclass(other, kind)} - {kind.__name__}, key=str.lower
    )
    lines = [f"## {kind.__name__}", ""]
    if heirs:
        lines += [f"Also for {', '.join(f'`{name}`' for name in heirs)}.", ""]
    lines += ["| setting | type | default | |", "| --- | --- | --- | --- |"]
    lines += [row(kind, name, trait) for name, trait in rows.items()]
    return "\n".join([*lines, ""])


def row(kind: type[Any], name: str, trait: TraitType[Any, Any]) -> str:
    """One setting."""
    notes = [meaning(kind, name, trait)]
    why = WITHOUT_EFFECT.get(name)
    if why and not re.match("Accepted|Without effect", notes[0]):
        notes.append(f"**Without effect**: {why}.")
    if (since := SINCE.get(f"{kind.__name__}.{name}")) is not None:
        notes.append(f"Since {since}.")
    mark = " ↻" if name in RELOADED.get(kind.__name__, ()) else ""
    return f"| `{name}`{mark} | {type_of(name, trait)} | {default_of(kind, name, trait)} | {' '.join(notes)} |"


def meaning(kind: type[Any], name: str, trait: TraitType[Any, Any]) -> str:
    """What it is for, on one line; of one that has moved, where to."""
    if kind is ServerApp and name in MOVED:
        return f"Deprecated: `{'.'.join(MOVED[name])}`."
    text = BORROWED.get(name) if not _is_ours(trait) else None
    text = re.sub(r"\s+", " ", text or str(trait.help or "")).strip()
    text = re.sub(r"([|<*_\\])", r"\\\1", text[:1].upper() + text[1:])
    return text if text.endswith((".", ")")) or not text else f"{text}."


def type_of(name: str, trait: TraitType[Any, Any]) -> str:
    """Kind of value, and the unit of a number."""
    for kind, word in _WORDS.items():
        if isinstance(trait, kind):
            return f"{word}, {unit_of(name)}" if kind in (Integer, Float) else word
    return "any"


def unit_of(name: str) -> str:
    """The unit of a numeric setting."""
    return next(unit for pattern, unit in _UNITS if re.fullmatch(pattern, name))


def default_of(kind: type[Any], name: str, trait: TraitType[Any, Any]) -> str:
    """Default, as it is written in a file; a word where it depends on the machine."""
    if _depends(kind, name, trait):
        return "*depends*"
    value = trait.default()
    text = repr(value).replace("|", "\\|")
    return f"`{text}`" if len(text) < 80 else "*long*"


def _depends(kind: type[Any], name: str, trait: TraitType[Any, Any]) -> bool:
    generators = (vars(base).get("_trait_default_generators", {}) for base in kind.__mro__)
    return any(name in found for found in generators) or hasattr(kind, f"_{name}_default")


def main() -> None:
    """Write the page; with ``--check``, say whether it is as it should be."""
    wanted = page()
    if "--check" in sys.argv:
        raise SystemExit(PAGE.read_text(encoding="utf-8") != wanted)
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
