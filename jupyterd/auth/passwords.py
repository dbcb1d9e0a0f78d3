"""Passwords at rest: hashes that operators keep in their configuration, ``algorithm:...``.

New hashes are argon2id. Salted digests (``sha1:salt:hex``, ``sha256:salt:hex`` and whatever else :mod:`hashlib`
names) of older servers verify as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable
from getpass import getpass
from typing import Any

from jupyterd.system.replace_file import replace_file

SALT_HEX_DIGITS = 12
ARGON2_MEMORY_KIB, ARGON2_ROUNDS, ARGON2_LANES = 10240, 10, 8
MAX_PASSWORD = 4096  # characters; nobody types more, and hashing is made to be slow


def passwd(passphrase: str | None = None, algorithm: str = "argon2", ask: Callable[[str], str] = getpass) -> str:
    """Hash a password for ``PasswordIdentityProvider.hashed_password``.

    :param passphrase: the password; None asks for it twice on the terminal.
    :param algorithm: ``argon2``, or any name that :func:`hashlib.new` knows.
    :raises ValueError: the two answers differed three times.
    """
    if passphrase is None:
        passphrase = _ask_twice(ask)
    if algorithm == "argon2":
        from argon2 import PasswordHasher

        hasher = PasswordHasher(memory_cost=ARGON2_MEMORY_KIB, time_cost=ARGON2_ROUNDS, parallelism=ARGON2_LANES)
        return f"argon2:{hasher.hash(passphrase)}"
    salt = secrets.token_hex(SALT_HEX_DIGITS // 2)
    return f"{algorithm}:{salt}:{_digest(algorithm, passphrase, salt)}"


def _ask_twice(ask: Callable[[str], str]) -> str:
    for _attempt in range(3):
        first, second = ask("Enter password: "), ask("Verify password: ")
        if first == second:
            return first
        print("Passwords do not match.")  # noqa: T201 - a dialogue on the terminal
    raise ValueError("No matching passwords found. Giving up.")


def _digest(algorithm: str, passphrase: str, salt: str) -> str:
    return hashlib.new(algorithm, passphrase.encode() + salt.encode()).hexdigest()


def passwd_check(hashed_passphrase: str, passphrase: str) -> bool:
    """Whether ``passphrase`` is the one that was hashed. Slow on purpose (tens of milliseconds): call it in a thread.

    A hash that can not be read matches nothing.
    """
    if len(passphrase) > MAX_PASSWORD:
        return False
    algorithm, _, rest = hashed_passphrase.partition(":")
    if algorithm == "argon2":
        return _argon2_check(rest, passphrase)
    salt, _, digest = rest.partition(":")
    if not digest:
        return False
    try:
        return hmac.compare_digest(_digest(algorithm, passphrase, salt).encode(), digest.encode())
    except (ValueError, TypeError):  # an algorithm that hashlib does not have, or one without a fixed length
        return False


def _argon2_check(encoded: str, passphrase: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return bool(PasswordHasher().verify(encoded, passphrase))
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def set_password(password: str, config_file: str) -> str:
    """Hash ``password`` and keep it as ``PasswordIdentityProvider.hashed_password`` in a JSON configuration file.

    The rest of the file stays; it is replaced whole, readable by its owner alone.

    :returns: the hash.
    :raises ValueError: the file holds something that is not a JSON object.
    """
    hashed = passwd(password)
    config = _read_json(config_file)
    # Under this name the setting reaches the provider whichever of the two stock classes is in use.
    config.setdefault("IdentityProvider", {})["hashed_password"] = hashed
    _write_private(config_file, json.dumps(config, indent=2))
    return hashed


def _read_json(config_file: str) -> dict[str, Any]:
    try:
        with open(config_file, encoding="utf-8") as file:
            config = json.load(file)
    except FileNotFoundError:
        return {}
    if not isinstance(config, dict):
        raise ValueError(f"{config_file} does not hold a JSON object")
    return config


def _write_private(path: str, text: str) -> None:
    directory = os.path.dirname(path) or "."
    os.makedirs(directory, mode=0o700, exist_ok=True)
    replace_file(path, text, keep=False)
