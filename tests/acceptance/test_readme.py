"""What the README shows a developer works: its check, dropped into the house, passes the contract of all checks."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def test_the_check_of_the_readme_is_a_check_once_its_file_is_there(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (TOP / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    shutil.copytree(TOP / "agent", tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "agent/checks/sessions.py").write_text(code)
    contract = (TOP / "tests/contract/test_checks.py").read_text()
    (tmp_path / "test_checks.py").write_text(contract.replace('"load": [{}],', '"load": [{}], "sessions": [{}],'))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "sessions", "test_checks.py"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert ran.returncode == 0, ran.stdout
    assert passed is not None
    assert int(passed[1]) >= 10
