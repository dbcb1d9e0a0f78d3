"""Translations. Importing this module puts no name anywhere: ``_i18n`` is imported by name."""

from __future__ import annotations

import gettext
import os
import warnings
from functools import cache

base_dir = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))


@cache
def _catalogue() -> gettext.NullTranslations:
    return gettext.translation("jupyterd", localedir=os.path.join(base_dir, "jupyterd", "i18n"), fallback=True)


trans = _catalogue()
_i18n = trans.gettext


def _(message: str) -> str:
    """The old name of :func:`_i18n`."""
    warnings.warn("The alias `_()` will be removed, use `_i18n()`.", FutureWarning, stacklevel=2)
    return _i18n(message)
