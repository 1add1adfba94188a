"""Who reads and writes the store does not pay for migrating it."""

import subprocess
import sys

PROGRAM = """
import sys
import agent.store.engine, agent.store.journal, agent.store.incidents
print("alembic" in sys.modules)
"""


def test_importing_the_store_does_not_import_alembic() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_offline_proof_does_not_import_sqlalchemy() -> None:
    program = "import sys, agent.store.chain; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
