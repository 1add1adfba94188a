"""`python -m agent.store.migrating FOLDER`: brings the database of a state folder to today's schema, and ends.

The daemon has this done in a process of its own: Alembic is 10 MB that nobody needs a second time.
"""

import sys
from pathlib import Path

from agent.clock import SystemClock
from agent.errors import WatchkeeperError
from agent.store.engine import Store


def main() -> int:
    """Migrate; whoever started us opens the store itself and tells what is wrong with it."""
    try:
        Store.open(Path(sys.argv[1]), SystemClock(), migrate=True).close()
    except WatchkeeperError as error:
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
