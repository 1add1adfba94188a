"""Makes docs/live.svg: runs the shipped example for real, and keeps what its live view shows once the story is told.

`python docs/picture.py`, on a machine where `make run` works. A copy of the shipped files runs in a folder of its own;
the picture is drawn by the live view's own code, from that run's store.
"""

import io
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console, ConsoleDimensions

from agent.app import Builder
from agent.cli import facts, live
from agent.cli.events import Teller
from agent.cli.output import STYLES
from agent.cli.wording import harmless, span
from agent.errors import AgentError
from agent.model.incident import IncidentState
from agent.runtime.agent import Agent
from agent.store import incidents, journal

TOP = Path(__file__).resolve().parents[1]
HEIGHT = 40
PICTURE = Path(__file__).with_name("live.svg")
SHIPPED = ("config.yaml", "inventory", "policies", "playbooks")
WIDTH = 132
PATIENCE_SECONDS = 120
WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # a picture that asks the net for its letters is none


def main() -> None:
    """Run, wait for the story, draw, stop."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-") as folder:
        home = _home(Path(folder))
        watchkeeper, lantern = Path(sys.executable).with_name("watchkeeper"), home / "playbooks/demo/lantern"
        subprocess.run([lantern, "out"], check=True)  # one that an earlier run left burning would hide the story
        daemon = subprocess.Popen(
            [watchkeeper, "run", "--for", f"{PATIENCE_SECONDS}s"], cwd=home, stderr=subprocess.DEVNULL
        )
        try:
            _draw(_told(Builder(home / "config.yaml")))
        finally:
            daemon.terminate()
            daemon.wait()
            subprocess.run([lantern, "out"], check=True)


def _home(home: Path) -> Path:
    for name in SHIPPED:
        source = TOP / name
        shutil.copytree(source, home / name) if source.is_dir() else shutil.copy(source, home / name)
    (home / "secrets").mkdir(mode=0o700)
    password = home / "secrets/restic-main"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe() + "\n")
    return home


def _told(builder: Builder) -> Agent:
    """The agent as another process sees it, once an incident is resolved and a backup is proven."""
    for _ in range(PATIENCE_SECONDS * 2):
        time.sleep(0.5)
        try:
            agent = builder.agent()
        except AgentError:
            continue  # it is just starting
        if _is_told(agent):
            return agent
        agent.close()
    sys.exit("the story was not told in time: does `make run FOR=90s` work here?")


def _is_told(agent: Agent) -> bool:
    with agent.store.read() as reader:
        cured = any(one.state is IncidentState.RESOLVED for one in incidents.listing(reader))
    checks = facts.checks(agent)
    proven = any("proven by a restore" in one["summary"] and "not yet" not in one["summary"] for one in checks)
    return cured and proven and all(one["state"] == "ok" for one in checks)


def _draw(agent: Agent) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    with agent.store.read() as reader:
        lines = journal.lines(reader)
    teller = Teller()
    for told in (told for line in lines if (told := teller.tell(line)) is not None):
        style = STYLES.get(told.style, "")
        console.print(
            harmless(told.text), style=style, markup=False, highlight=False, no_wrap=True, overflow="ellipsis"
        )
    up = f"up {span((agent.clock.now() - lines[0].recorded_at_us) / 1_000_000)}"
    console.print(live.picture(agent, ConsoleDimensions(WIDTH, HEIGHT), up))
    picture = WEB_FONTS.sub("", console.export_svg(title="watchkeeper run --live", unique_id="live"))
    PICTURE.write_text(picture.replace("Fira Code", "DejaVu Sans Mono"), encoding="utf-8")
    agent.close()


if __name__ == "__main__":
    main()
