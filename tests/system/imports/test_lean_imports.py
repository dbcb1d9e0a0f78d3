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
