"""Trust: which notebooks' outputs this user has made or accepted, by signatures as nbformat makes and stores them.

The database and the secret are the reference's, so what was trusted there is trusted here. Whatever happens to them, a
notebook can be opened (untrusted) and saved (unsigned).
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

from nbformat.sign import MemorySignatureStore, NotebookNotary

from jupyterd.contents.notebooks.signature_store import Later, SharedSignatureStore
from jupyterd.system.replace_file import discard, written_aside

_making = Lock()


def make_notary(later: Later | None = None, **kwargs: Any) -> NotebookNotary:
    """A :class:`NotebookNotary` by its settings, with a store that any thread may use unless another is configured.

    :param later: see :class:`SharedSignatureStore`.
    :param kwargs: as for every Configurable: ``parent`` or ``config``.
    """
    from jupyter_core.paths import jupyter_data_dir

    parent = kwargs.get("parent")
    section = getattr(parent, "config", kwargs.get("config", {})).get("NotebookNotary", {})
    if "data_dir" not in section:
        kwargs["data_dir"] = jupyter_data_dir()
        with suppress(OSError):  # a home that can not be written; what is missing is told below
            os.makedirs(kwargs["data_dir"], mode=0o700, exist_ok=True)
    if "store_factory" in section:
        return NotebookNotary(**kwargs)
    notary = NotebookNotary(store_factory=MemorySignatureStore, **kwargs)
    with _making, suppress(Exception):  # two threads must not make two secrets; one that fails is told when it is used
        if "secret" not in section:
            _see_to_secret(notary)
        assert notary.secret
    store = SharedSignatureStore(notary.db_file, later)
    notary.store_factory = lambda: store
    notary.store = store
    return notary


def _see_to_secret(notary: NotebookNotary) -> None:
    """Have a secret in its file. nbformat would leave half of one on a full disk, and take that for a secret later."""
    path = str(notary.secret_file)
    with suppress(FileNotFoundError):
        if os.path.getsize(path):
            return
        os.unlink(path)
    secret = base64.encodebytes(os.urandom(1024))
    try:
        written = written_aside(path, secret)
    except OSError as error:
        notary.log.warning("No secret for signatures could be kept; they are good for this process alone: %s", error)
        notary.secret = secret
        return
    try:
        os.link(written, path)  # of two servers that start at once the first one's secret counts
    except FileExistsError:
        pass
    except OSError:  # no hard links on this file system
        os.replace(written, path)
    finally:
        discard(written)


def signature_of(nb: dict[str, Any], notary: NotebookNotary) -> str:
    """What nbformat's ``compute_signature`` gives: the keys (sorted) and values, one after the other, hashed."""
    with _without(nb.get("metadata", {}), "signature"):
        mac = hmac.new(notary.secret, digestmod=notary.digestmod)
        parts: list[str] = []
        cells = nb.get("cells")
        if isinstance(cells, list) and all(key >= "cells" for key in nb):
            parts.append("cells")
            for cell in cells:
                _collect(cell, parts)
                mac.update("".join(parts).encode())
                parts = []
            nb = {key: value for key, value in nb.items() if key != "cells"}
        _collect(nb, parts)
    mac.update("".join(parts).encode())
    return str(mac.hexdigest())


@contextmanager
def _without(mapping: dict[str, Any], key: str) -> Iterator[None]:
    held = mapping.pop(key, None)
    try:
        yield
    finally:
        if held is not None:
            mapping[key] = held


def _collect(value: Any, parts: list[str]) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            parts.append(key)
            item = value[key]
            if type(item) is str:
                parts.append(item)
            else:
                _collect(item, parts)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) is str:
                parts.append(item)
            else:
                _collect(item, parts)
    else:
        parts.append(str(value))


def all_cells_trusted(nb: dict[str, Any]) -> bool:
    """Take the ``trusted`` marks off a notebook's code cells; whether each had one, or has no output to distrust.

    Source: nbformat's ``NotebookNotary.check_cells``.
    """
    trusted = True
    for cell in nb["cells"]:
        if cell["cell_type"] == "code" and not _cell_trusted(cell):
            trusted = False
    return trusted


_SAFE_KEYS = {"output_type", "execution_count", "metadata"}


def _cell_trusted(cell: dict[str, Any]) -> bool:
    if cell["metadata"].pop("trusted", False):
        return True
    return all(
        output["output_type"] not in ("execute_result", "display_data") or not set(output) - _SAFE_KEYS
        for output in cell["outputs"]
    )


def mark_cells(nb: dict[str, Any], trusted: bool) -> None:
    """Tell the client, in each code cell's metadata, whether its outputs may run scripts."""
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["trusted"] = trusted


def check_and_sign(notary: Any, nb: Any, path: str, log: Any) -> None:
    """Take the marks of trusted cells off a notebook, and sign it if all were trusted.

    :raises Exception: it is no notebook.
    """
    trusted = all_cells_trusted(nb) if type(nb) is dict else notary.check_cells(nb)
    if not trusted:
        log.warning("Notebook %s is not trusted", path)
        return
    try:
        if type(nb) is dict:
            notary.store.store_signature(signature_of(nb, notary), notary.algorithm)
        else:
            notary.sign(nb)
    except Exception:
        log.warning("Notebook %s could not be signed; its outputs will not be trusted", path, exc_info=True)


def mark_trusted_cells(notary: Any, nb: Any, path: str, log: Any) -> None:
    """Mark a notebook's cells as trusted if its signature is known."""
    trusted = False
    try:
        if type(nb) is dict:
            trusted = notary.store.check_signature(signature_of(nb, notary), notary.algorithm)
        else:
            trusted = notary.check_signature(nb)
    except Exception:
        log.warning("The signature of notebook %s could not be checked", path, exc_info=True)
    if not trusted:
        log.warning("Notebook %s is not trusted", path)
    if type(nb) is dict:
        mark_cells(nb, trusted)
    else:
        notary.mark_cells(nb, trusted)
