"""What libraries load and nothing here uses is left out for them alone; who asks for it gets it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from jupyterd.system.imports.lean_imports import make_imports_lean
make_imports_lean()
make_imports_lean()
import jsonschema
from jsonschema import FormatChecker
assert not {"rfc3987_syntax", "isoduration", "arrow"} & set(sys.modules)
FormatChecker().check("a@b", "email")
try:
    import rfc3987_syntax
except ImportError as error:
    assert "left out" not in str(error)
print(sum(type(finder).__name__ == "_Lean" for finder in sys.meta_path))
"""


def test_the_grammar_is_left_out_for_jsonschema_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")


WEBSOCKETS = """
import sys
from jupyterd.system.imports.lean_imports import make_imports_lean
from jupyterd.system.imports.late_tls import postpone_tls
postpone_tls()
make_imports_lean()
import jupyterd.web.websocket.protocol
from autobahn.twisted import websocket
assert not {"OpenSSL", "cryptography", "argon2", "click", "autobahn.wamp.auth"} & set(sys.modules)
from autobahn import twisted
assert websocket is twisted.websocket
from autobahn.twisted import ApplicationSession, WebSocketServerProtocol
assert WebSocketServerProtocol is websocket.WebSocketServerProtocol
assert "cryptography" in sys.modules
try:
    twisted.nothing
except AttributeError as error:
    print(error)
import OpenSSL
"""


def test_websockets_are_loaded_without_wamp_and_tls() -> None:
    done = subprocess.run([sys.executable, "-c", WEBSOCKETS], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("module 'autobahn.twisted' has no attribute 'nothing'\n", "")


LATE = """
import sys
from jupyterd.system.imports.lean_imports import LATE, make_imports_lean
make_imports_lean()
import asyncio, inspect, pdb, ssl, threading
from http import cookiejar
from klein.app import Klein
from werkzeug.exceptions import NotFound
assert not {"_ssl", "bdb", "klein._form", "werkzeug.test"} & set(sys.modules), "loaded too early"
found = []
threads = [threading.Thread(target=lambda: found.append(ssl.SSLContext)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(found)) == 1
from asyncio import sslproto
assert sslproto.SSLAgainErrors[0] is ssl.SSLWantReadError
assert "class SSLContext" in inspect.getsource(ssl)
from werkzeug import Request
from klein import Form, Klein as again
assert again is Klein
assert cookiejar.CookieJar and pdb.Pdb
for name in LATE & set(sys.modules):
    assert "Late" not in type(sys.modules[name].__loader__).__name__, name
try:
    ssl.nothing
except AttributeError as error:
    print(error)
try:
    from ssl import nothing
except ImportError as error:
    print(str(error).partition(" (")[0])
"""


def test_what_is_imported_and_not_used_is_loaded_late_and_whole_in_whatever_thread() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
    said = "module 'ssl' has no attribute 'nothing'\ncannot import name 'nothing' from 'ssl'\n"
    assert (done.stdout, done.stderr) == (said, "")
