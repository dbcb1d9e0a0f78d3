"""TLS is loaded when it is first used: by a port, by an endpoint, by a client; nobody notices that it was not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervision.addresses.test_tls import certificate

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

async def main_of_client():
    # Plain, then by TLS: to a server whose certificate is not known, and to one whose is.
    from twisted.web import client, resource, server, static
    assert not {"OpenSSL", "cryptography", "twisted.internet.ssl"} & set(sys.modules), "loaded too early"
    cert, key = sys.argv[1:]
    root = resource.Resource()
    root.putChild(b"", static.Data(b"hello", "text/plain"))
    async def get(uri, policy):
        agent = client.Agent(reactor, policy, pool=client.HTTPConnectionPool(reactor, persistent=False))
        print((await client.readBody(await agent.request(b"GET", uri.encode()))).decode())
    plain = reactor.listenTCP(0, server.Site(root), interface="127.0.0.1")
    await get(f"http://127.0.0.1:{plain.getHost().port}/", client.BrowserLikePolicyForHTTPS())
    assert "OpenSSL" not in sys.modules, "loaded too early"
    safe = await endpoints.serverFromString(
        reactor, f"ssl:0:interface=127.0.0.1:certKey={cert}:privateKey={key}").listen(server.Site(root))
    uri = f"https://localhost:{safe.getHost().port}/"
    try:
        await get(uri, client.BrowserLikePolicyForHTTPS())
    except client.ResponseNeverReceived as error:
        print(error.reasons[0].type.__name__)
    from twisted.internet import ssl
    known = ssl.Certificate.loadPEM(open(cert).read())
    await get(uri, client.BrowserLikePolicyForHTTPS(known))
    await plain.stopListening()
    await safe.stopListening()

def failed(failure):
    failure.printTraceback()

Deferred.fromCoroutine(STORY()).addErrback(failed).addBoth(lambda _: reactor.stop())
reactor.callLater(20, reactor.stop)
reactor.run()
"""


@pytest.mark.parametrize(
    ("story", "said"),
    [("main", "hello\nhello\n"), ("main_of_client", "hello\nError\nhello\n")],
    ids=["ports", "client"],
)
def test_it_is_loaded_when_it_is_used(tmp_path: Path, story: str, said: str) -> None:
    cert, key = certificate(tmp_path)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM.replace("STORY", story), cert, key]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (said, "")


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


def test_a_server_below_a_hub_starts_without_it() -> None:
    program = (
        "import sys\nfrom jupyterd.system.imports.late_tls import postpone_tls\npostpone_tls()\n"
        "import treq.client, jupyterd.app.hub\n"
        "from twisted.internet import reactor\nfrom jupyterd.hub.settings import HubOAuth\n"
        "jupyterd.app.hub._http(reactor, HubOAuth())\nprint('OpenSSL' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
