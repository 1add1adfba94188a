"""`watchkeeper --help` answers at once, for it loads nothing that it does not need."""

import subprocess
import sys

HEAVY = ("ansible_runner", "paramiko", "psutil", "pydantic", "sqlalchemy", "yaml")
ASK = """
import atexit, sys
atexit.register(lambda: print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr))
sys.argv = ["watchkeeper", "--help"]
from agent.app import main
main()
"""


def test_help_loads_no_heavy_library() -> None:
    ended = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout
    assert "agent" in ended.stderr.split()
    assert not set(HEAVY) & set(ended.stderr.split())
