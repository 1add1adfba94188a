"""With CI=true a skip is a failure that says which; on a laptop it is a skip."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ONE = 'import pytest\ndef test_it() -> None:\n    pytest.skip("no restic here")\n'
FILE = 'import pytest\npytest.skip("no lab here", allow_module_level=True)\n'
EXPECTED = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it() -> None:\n    raise ValueError\n"


@pytest.mark.parametrize(
    ("text", "ci", "code", "said"),
    [
        (ONE, "true", 1, "test_it was skipped, and CI skips nothing: Skipped: no restic here"),
        (FILE, "true", 2, "was skipped, and CI skips nothing: Skipped: no lab here"),
        (ONE, "", 0, "1 skipped"),
        (EXPECTED, "true", 0, "1 xfailed"),
    ],
)
def test_what_becomes_of_a_skip(tmp_path: Path, text: str, ci: str, code: int, said: str) -> None:
    (tmp_path / "test_one.py").write_text(text)
    argv = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "tests.conftest"]
    argv += ["-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "CI": ci}
    ended = subprocess.run(argv, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert said in ended.stdout
