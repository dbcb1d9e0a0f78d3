"""Trust of one notebook, when it is opened and when it is saved. Nothing that fails here stops either."""

from __future__ import annotations

from typing import Any

from jupyterd.contents import trust


def check_and_sign(notary: Any, nb: Any, path: str, log: Any) -> None:
    """Take the marks of trusted cells off a notebook, and sign it if all were trusted.

    :raises Exception: it is no notebook.
    """
    trusted = trust.all_cells_trusted(nb) if type(nb) is dict else notary.check_cells(nb)
    if not trusted:
        log.warning("Notebook %s is not trusted", path)
        return
    try:
        if type(nb) is dict:
            notary.store.store_signature(trust.signature_of(nb, notary), notary.algorithm)
        else:
            notary.sign(nb)
    except Exception:
        log.warning("Notebook %s could not be signed; its outputs will not be trusted", path, exc_info=True)


def mark_trusted_cells(notary: Any, nb: Any, path: str, log: Any) -> None:
    """Mark a notebook's cells as trusted if its signature is known."""
    trusted = False
    try:
        if type(nb) is dict:
            trusted = notary.store.check_signature(trust.signature_of(nb, notary), notary.algorithm)
        else:
            trusted = notary.check_signature(nb)
    except Exception:
        log.warning("The signature of notebook %s could not be checked", path, exc_info=True)
    if not trusted:
        log.warning("Notebook %s is not trusted", path)
    if type(nb) is dict:
        trust.mark_cells(nb, trusted)
    else:
        notary.mark_cells(nb, trusted)
