"""Cookie secret: the key that cookies are signed with, a private file's content mixed with password and token."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from jupyterd.system.replace_file import discard, written_aside

SHORTEST_SECRET = 16  # bytes; less, as in a file cut short, could be guessed
NEW_SECRET = 32  # bytes


class SecretMixer(Protocol):
    """What makes the key depend on more than the secret: an identity provider, by its password or token."""

    def cookie_secret_hook(self, h: hmac.HMAC) -> hmac.HMAC:
        """Mix it in."""


@dataclass(eq=False)
class CookieKey:
    """Gives the signing key.

    :param file: where the secret is kept between starts; empty for a secret that ends with the process.
    :param configured: the operator's own secret (``ServerApp.cookie_secret``); no file is touched then.
    """

    file: str = ""
    configured: bytes = b""
    log = Logger()
    _secret: bytes = b""

    def key(self, provider: SecretMixer) -> bytes:
        """The key of this moment: another one as soon as the password changes."""
        if not self._secret:
            self._secret = self.configured or self._read() or self._create()
        return provider.cookie_secret_hook(hmac.new(self._secret, digestmod=hashlib.sha256)).digest()

    def rotate(self) -> None:
        """Make all cookies void: everybody is logged out, everywhere.

        :raises OSError: the file can not be replaced; the old cookies stay good then.
        """
        secret = os.urandom(NEW_SECRET)
        if self.file and not self.configured:
            written = self._written(secret)
            try:
                os.replace(written, self.file)
            except OSError:
                discard(written)
                raise
        self._secret = secret

    def _read(self) -> bytes:
        if not self.file:
            return b""
        try:
            with open(self.file, "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                secret = file.read(4096)
                if mode & 0o077:
                    self.log.warn("{file} was readable by others (mode {mode:o}); now 600", file=self.file, mode=mode)
                    os.fchmod(file.fileno(), 0o600)
        except FileNotFoundError:
            return b""
        except OSError as error:
            self.log.error("can not read the cookie secret: {error}", error=str(error))
            return b""
        if len(secret) >= SHORTEST_SECRET:
            return secret
        self.log.warn("{file} holds no usable secret; making a new one, all logins end", file=self.file)
        os.unlink(self.file)
        return b""

    def _create(self) -> bytes:
        secret = os.urandom(NEW_SECRET)
        if not self.file:
            return secret
        try:
            written = self._written(secret)
        except OSError as error:
            self.log.error("can not keep the cookie secret, logins end with this process: {error}", error=str(error))
            return secret
        try:
            # A link fails where the file exists: of two servers that start at once the first one's secret counts.
            os.link(written, self.file)
        except FileExistsError:
            return self._read() or secret
        except OSError:  # no hard links on this file system
            os.replace(written, self.file)
            return secret
        finally:
            discard(written)
        return secret

    def _written(self, secret: bytes) -> str:
        directory = os.path.dirname(self.file) or "."
        os.makedirs(directory, mode=0o700, exist_ok=True)
        return written_aside(os.path.join(directory, os.path.basename(self.file)), secret)
