"""jsonschema is imported without its grammar of IRIs; who asks for the grammar itself gets it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from jupyterd.system.imports.lean_imports import without_iri_grammar
without_iri_grammar()
without_iri_grammar()
import jsonschema
from jsonschema import FormatChecker
assert not {"rfc3987_syntax", "isoduration", "arrow"} & set(sys.modules)
FormatChecker().check("a@b", "email")
try:
    import rfc3987_syntax
except ImportError as error:
    assert "left out" not in str(error)
print(sum(type(finder).__name__ == "_Without" for finder in sys.meta_path))
"""


def test_the_grammar_is_left_out_for_jsonschema_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")
