"""An authorizer: those who are named may do everything, all others may only look.

    jupyterd --config=guests_may_read.py

It is asked after the identity provider has told who somebody is. Actions are ``read``, ``write`` and ``execute`` (code
in kernels and terminals); resources are ``contents``, ``kernels``, ``sessions``, ``terminals``, ``server`` ...
"""

from traitlets import Set, Unicode

from jupyterd.auth import Authorizer


class GuestsMayRead(Authorizer):
    """Full access for ``workers``; ``read`` for everybody else, and nothing of terminals."""

    workers = Set(Unicode(), config=True, help="User names that may change files and run code.")

    def is_authorized(self, handler, user, action, resource):
        """Answer at once, or be ``async`` and ask a directory service."""
        if user.username in self.workers:
            return True
        return action == "read" and resource != "terminals"


c = get_config()  # noqa: F821 - traitlets gives it to configuration files
c.ServerApp.authorizer_class = GuestsMayRead
c.GuestsMayRead.workers = {"ada", "grace"}
