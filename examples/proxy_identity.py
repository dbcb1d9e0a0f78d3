"""An identity provider: a reverse proxy has logged the user in, and says so in a header.

    jupyterd --config=proxy_identity.py --sock=/run/user/1000/jupyterd.sock

The header is believed only from the proxy: put the server on a UNIX socket that nobody else can open (``--sock``), and
let the proxy drop the header from what clients send. For nginx::

    location / {
        proxy_pass http://unix:/run/user/1000/jupyterd.sock;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Host $host;
        proxy_set_header X-Remote-User $remote_user;
    }
"""

from traitlets import Unicode

from jupyterd.auth import IdentityProvider, User


class ProxyIdentity(IdentityProvider):
    """Whoever the proxy names; nobody where it names none."""

    header = Unicode("X-Remote-User", config=True, help="Where the proxy writes the user's name.")

    def get_user(self, handler):
        """A User, or None for a stranger. It may be ``async``."""
        name = handler.request.headers.get(self.header, "").strip()
        return User(username=name) if name else None


c = get_config()  # noqa: F821 - traitlets gives it to configuration files
c.ServerApp.identity_provider_class = ProxyIdentity
c.ServerApp.trust_xheaders = True
