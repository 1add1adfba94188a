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
    ("texts", "ci", "code", "said"),
    [
        (
            (ONE, FILE, EXPECTED),
            "true",
            1,
            (
                "test_it was skipped, and CI skips nothing: Skipped: no restic here",
                "was skipped, and CI skips nothing: Skipped: no lab here",
                "1 failed, 1 xfailed, 1 error",
            ),
        ),
        ((FILE,), "true", 2, ("was skipped, and CI skips nothing: Skipped: no lab here",)),
        ((ONE, FILE, EXPECTED), "", 0, ("2 skipped, 1 xfailed",)),
    ],
    ids=["in CI", "a whole file in CI", "elsewhere"],
)
def test_what_becomes_of_a_skip(
    tmp_path: Path, texts: tuple[str, ...], ci: str, code: int, said: tuple[str, ...]
) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"test_{number}.py").write_text(text)
    argv = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "tests.conftest"]
    argv += ["-p", "no:cacheprovider", *(["--continue-on-collection-errors"] if len(texts) > 1 else []), str(tmp_path)]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # others' plug-ins take as long again
    ended = subprocess.run(argv, cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert [words for words in said if words not in ended.stdout] == [], ended.stdout
