"""TLS is loaded when it is first used: by a port, by an endpoint, by a client; nobody notices that it was not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervision.test_tls import certificate

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from jupyterd.system.imports.late_tls import postpone_tls
assert postpone_tls()
assert not postpone_tls()
from twisted.internet import endpoints, interfaces, reactor
import twisted.web.server
assert not {"OpenSSL", "cryptography"} & set(sys.modules), "loaded too early"
assert interfaces.IReactorSSL.providedBy(reactor)
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)

class Ask(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
    def dataReceived(self, data):
        assert interfaces.ISSLTransport(self.transport, None) is not None
        self.transport.loseConnection()
        self.factory.done.callback(data)

async def ask(port, tls):
    factory = Factory.forProtocol(Ask)
    factory.done = Deferred()
    plain = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    await endpoints.wrapClientTLS(tls, plain).connect(factory)
    print((await factory.done).decode())
    await port.stopListening()

async def main():
    cert, key = sys.argv[1:]
    echo = Factory.forProtocol(Echo)
    first = await endpoints.serverFromString(
        reactor, f"ssl:0:interface=127.0.0.1:certKey={cert}:privateKey={key}").listen(echo)
    from twisted.internet import ssl
    tls = ssl.optionsForClientTLS("localhost", ssl.Certificate.loadPEM(open(cert).read()))
    await ask(first, tls)
    context = ssl.DefaultOpenSSLContextFactory(key, cert)
    await ask(reactor.listenSSL(0, echo, context, interface="127.0.0.1"), tls)

def failed(failure):
    failure.printTraceback()

Deferred.fromCoroutine(main()).addErrback(failed).addBoth(lambda _: reactor.stop())
reactor.callLater(20, reactor.stop)
reactor.run()
"""


def test_it_is_loaded_when_it_is_used(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, cert, key], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("hello\nhello\n", "")


def test_where_the_reactor_is_there_already_nothing_is_changed() -> None:
    program = (
        "import twisted.internet.tcp; from twisted.internet import posixbase; before = posixbase.tls\n"
        "from jupyterd.system.imports.late_tls import postpone_tls\n"
        "assert not postpone_tls()\nassert posixbase.tls is before"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_server_starts_without_it() -> None:
    program = (
        "import sys\nfrom jupyterd import __main__ as program\n"
        "from jupyterd.system.imports.late_tls import postpone_tls\npostpone_tls()\n"
        "import jupyterd.foreground as foreground\n"
        "foreground.serve = lambda argv: print('OpenSSL' in sys.modules)\nprogram.main(['--port=0'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
