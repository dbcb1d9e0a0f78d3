"""``twistd jupyterd``: the command line below twistd's, and the service it makes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

from twisted.python import usage

if TYPE_CHECKING:
    from twisted.application.service import IService
    from twisted.logger import ILogObserver

    from jupyterd.settings.load import Settings

WRONG_USE = 2  # exit status


class Options(usage.Options):
    """All that ``jupyter server`` takes; traitlets reads it, not :mod:`twisted.python.usage`.

    ``self.settings`` is what came of it.
    """

    settings: Settings

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line and the configuration; leave where there is nothing to serve.

        :raises SystemExit: status 0 after help, a subcommand ...; status 2 after one line about what is wrong.
        """
        from jupyterd.settings.load import BadSettings, act, load

        try:
            self.settings = load(sys.argv[1:] if options is None else options)
            if act(self.settings):
                raise SystemExit(0)
        except BadSettings as error:
            _refuse(str(error))
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        install_reactor()
        if self.parent is not None:
            _adjust(self.parent, self.settings)


def install_reactor() -> None:
    """Make the asyncio reactor the one of this process, with its loop as the current one.

    jupyter_client and its provisioners are asyncio. A loop that is not current would silently run none of their tasks.
    """
    if "twisted.internet.reactor" not in sys.modules:
        from twisted.internet import asyncioreactor

        asyncioreactor.install(_current_loop())
        return
    from twisted.internet import reactor

    loop = getattr(reactor, "_asyncioEventloop", None)
    if loop is None:
        _refuse(f"needs the asyncio reactor, not {type(reactor).__name__}: leave out --reactor, or choose asyncio")
    asyncio.set_event_loop(loop)


def _current_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"jupyterd: {message}\n")
    raise SystemExit(WRONG_USE)


def _adjust(twistd: Any, settings: Settings) -> None:
    """Set what twistd would otherwise do to its own taste.

    - Users' files keep the umask of who started the daemon; twistd would make them all private.
    - In the foreground no ``twistd.pid`` is left in what is most often a directory of notebooks.
    """
    if twistd["umask"] is None:
        umask = os.umask(0o077)
        os.umask(umask)
        twistd["umask"] = umask
    if twistd["pidfile"] == "twistd.pid" and twistd["nodaemon"]:
        twistd["pidfile"] = ""
    elif twistd["pidfile"]:
        twistd["pidfile"] = os.path.abspath(twistd["pidfile"])
    if twistd["logfile"] and twistd["logfile"] != "-":
        twistd["logfile"] = os.path.abspath(twistd["logfile"])


def observer_of(twistd: Any, settings: Settings) -> ILogObserver:
    """The log observer that twistd's options and ``log_style`` ask for."""
    from twisted.internet import reactor
    from twisted.logger import ILogObserver as INewObserver
    from twisted.logger import LegacyLogObserverWrapper
    from twisted.python.logfile import BaseLogFile
    from twisted.scripts._twistd_unix import UnixAppLogger

    from jupyterd.log_styles import Journal, JSONLines, has_journal
    from jupyterd.system import log_rotation

    style = settings.server.log_style
    if hasattr(twistd, "console"):
        observer = twistd.console(settings.server)
        stream = observer.stream
    else:
        observer = UnixAppLogger({**twistd, "logger": None})._getLogObserver()
        stream = getattr(observer, "_outFile", None)  # a FileLogObserver's; none where it is syslog
        if isinstance(stream, BaseLogFile):
            log_rotation.install(stream, cast(Any, reactor).callFromThread)
    if style == "json" and hasattr(stream, "write"):
        return JSONLines(cast(Any, stream))
    if not INewObserver.providedBy(observer):
        observer = LegacyLogObserverWrapper(observer)
    return Journal(observer) if style == "journal" and has_journal() else observer


def makeService(options: Options) -> IService:
    """The whole daemon. Called before twistd forks: it builds objects, and opens and starts nothing.

    :raises SystemExit: status 2 after one line about a setting that its class does not take.
    """
    from traitlets import TraitError
    from twisted.internet import reactor

    from jupyterd.app.composition import jupyterd
    from jupyterd.app.reload import reload
    from jupyterd.log_config import BadLogging
    from jupyterd.settings.load import BadSettings
    from jupyterd.supervision.daemon import Daemon
    from jupyterd.supervision.sockets import keep_for_us
    from jupyterd.system.imports.lean_imports import make_imports_lean
    from jupyterd.system.memory import use_one_arena

    use_one_arena()
    keep_for_us(os.environ)
    make_imports_lean()
    settings, twistd = options.settings, options.parent
    try:
        keep_secrets(settings)
        parts = jupyterd(reactor, settings)
        beside = _handlers_of(settings)
    except (BadSettings, BadLogging, TraitError) as error:
        _refuse(" ".join(str(error).split()))
    daemon = Daemon(
        reactor,
        settings.server,
        make_observer=lambda: beside(parts.levels.filter(observer_of(twistd, settings))),
        reload=lambda: reload(parts),
        give_up=lambda message: _give_up(twistd, message),
        restart=None if parts.predecessor is None else parts.predecessor.restart,
        silent=parts.silent_pools,
    )
    parts.services.setServiceParent(daemon)
    return daemon


def _handlers_of(settings: Settings) -> Callable[[ILogObserver], ILogObserver]:
    """Puts the handlers of ``logging_config`` beside an observer; nothing where there are none.

    :raises BadLogging: they can not be made.
    """
    server = settings.server
    if not server.logging_config:
        return lambda observer: observer
    from jupyterd.log_config import configure

    return configure(server.logging_config, server.log_format, server.log_datefmt).beside


def keep_secrets(settings: Settings) -> None:
    """From now on no log holds a token, password or cookie."""
    from jupyterd.log_scrub import Scrubber, install

    def known() -> list[str]:
        provider = settings.server.identity_provider
        return [str(getattr(provider, name, "") or "") for name in ("token", "hashed_password")]

    install(Scrubber(known, settings.server.extra_log_scrub_param_keys))


def _give_up(twistd: Any, message: str) -> None:
    """Leave with one line in the foreground; a daemon's twistd tells who started it."""
    if not twistd["nodaemon"]:
        return
    if twistd["pidfile"]:
        os.unlink(twistd["pidfile"])
    if sys.__stderr__ is not None and not hasattr(twistd, "console"):
        sys.__stderr__.write(f"jupyterd: {message}\n")  # its log, on stdout, has said so too
    raise SystemExit(1)
