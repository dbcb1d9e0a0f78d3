"""A user as Jupyter's clients see one, and names for those that have none."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, fields
from typing import Any

MOONS = (
    "Adrastea", "Aitne", "Ananke", "Aoede", "Arche", "Autonoe", "Callirrhoe", "Callisto", "Carme", "Carpo",
    "Chaldene", "Cyllene", "Dia", "Eirene", "Elara", "Erinome", "Ersa", "Euanthe", "Eukelade", "Eupheme",
    "Euporie", "Europa", "Eurydome", "Ganymede", "Harpalyke", "Hegemone", "Helike", "Hermippe", "Herse",
    "Himalia", "Io", "Iocaste", "Isonoe", "Kale", "Kallichore", "Kalyke", "Kore", "Leda", "Lysithea",
    "Megaclite", "Metis", "Mneme", "Orthosie", "Pandia", "Pasiphae", "Pasithee", "Philophrosyne", "Praxidike",
    "Sinope", "Sponde", "Taygete", "Thebe", "Thelxinoe", "Themisto", "Thyone", "Valetudo",
)  # fmt: skip


@dataclass
class User:
    """Who a request comes from; the JSON of ``identity`` in ``/api/me``.

    :param username: unique, never empty.
    :param name: the person's name; the username where none is known.
    :param display_name: what user interfaces show; the name where none is known.
    :param initials: one or two letters.
    :param avatar_url: a picture.
    :param color: a CSS colour.
    :raises ValueError: ``username`` is empty.
    """

    username: str
    name: str = ""
    display_name: str = ""
    initials: str | None = None
    avatar_url: str | None = None
    color: str | None = None

    def __post_init__(self) -> None:
        self.fill_defaults()

    def fill_defaults(self) -> None:
        """Derive the names that were left empty."""
        if not self.username:
            raise ValueError(f"user.username must not be empty: {self}")
        self.name = self.name or self.username
        self.display_name = self.display_name or self.name


FIELDS = tuple(field.name for field in fields(User))


def get_anonymous_username() -> str:
    """One of Jupiter's moons, by chance."""
    return secrets.choice(MOONS)


def anonymous_user() -> User:
    """Somebody who showed the right secret but no name: a fresh random one."""
    moon = get_anonymous_username()
    name = f"Anonymous {moon}"
    return User(secrets.token_hex(16), name, name, f"A{moon[0]}")


def as_user(found: Any) -> User:
    """A :class:`User` from what older login classes return: a name, or a dict of fields.

    Classes written against other servers bring their own ``User``: any object with a ``username`` passes as it is.

    :raises ValueError: neither of these.
    """
    if isinstance(found, User) or getattr(found, "username", None):
        return found  # type: ignore[no-any-return]
    if isinstance(found, str) and found:
        return User(found)
    if isinstance(found, dict):
        known = {name: found[name] for name in FIELDS if name in found}
        known.setdefault("username", found.get("name", ""))
        return User(**known)
    raise ValueError(f"Unrecognized user: {type(found).__name__}")


def to_json(user: User) -> str:
    """The user as kept in the login cookie."""
    return json.dumps({name: getattr(user, name, None) for name in FIELDS})


def from_json(text: str) -> User:
    """Inverse of :func:`to_json`.

    :raises ValueError: not the JSON of a user.
    """
    known = json.loads(text)
    if not isinstance(known, dict) or not isinstance(known.get("username"), str):
        raise ValueError("not a user")
    if not all(known.get(name) is None or isinstance(known[name], str) for name in FIELDS):
        raise ValueError("not a user")
    return User(**{name: known[name] for name in FIELDS if known.get(name) is not None})
