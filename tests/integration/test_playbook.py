"""Plays through the shim, on this machine and over real SSH: what arrives is data, and what ends is told truly."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import agent.actions
from agent import registry
from agent.actions import FAMILY, playbook
from agent.actions.playbook import Play, PlayOutcome
from agent.clock import SystemClock
from agent.errors import InputError
from agent.transports import child, shim
from tests.canary import search_canary, search_processes
from tests.lab.sshd import Sshd
from tests.lab.wait import until

CLOCK = SystemClock()
PLAYBOOKS = Path(__file__).resolve().parents[1] / "playbooks"
HOSTILE: tuple[str, ...] = (
    "{{ 7*7 }}",
    "{{ lookup('pipe', 'id') }}",
    "{% raw %}{{ 7*7 }}{% endraw %}",
    "{% for x in [1] %}",
    "{# not a comment #}",
    'it\'s "quoted" `id` \\',
    "line one\nline two\r\n\ttab",
    "$(id) ${HOME} ; rm -rf * | & > <",
    "größe 漢字 \U0001f600 \u2028",
    "!unsafe x",
    "- a: b\n  c: *d",
    "@/etc/passwd",
    "yes",
    "012",
    "1.10",
    "2024-01-01",
    "22:22",
    "null",
    "~",
    "<<",
    "",
    " ",
)
GIVEN: dict[str, Any] = {
    "texts": list(HOSTILE),
    "deep": {"{{ 7*7 }}": {"list": [["{{ 7*7 }}", {"x": "{% raw %}"}], []]}, "<<": {"yes": "no"}, "012": 1},
    "numbers": [0, -5, 10**20, 2.5, 1e-7, True, False, None],
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where the plays of one test module run."""

    folder: Path
    inventory: Path
    known_hosts: Path

    def start(self, play: Play, *, seconds: float = 60, name: str = "") -> "Run":
        """Launch a play in a folder of its own."""
        run_dir = (
            self.folder / "state folder" / "runs" / f"{name or play.playbook}-{len(list(self.folder.glob('*/*/*')))}"
        )
        packet = playbook.packet(
            play,
            run_dir=run_dir,
            playbooks=PLAYBOOKS,
            inventory=self.inventory,
            known_hosts=self.known_hosts,
            timeout_seconds=seconds,
        )
        return Run(run_dir=run_dir, who=child.launch(run_dir, packet, CLOCK))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A play that was launched."""

    run_dir: Path
    who: child.Shim

    def end(self) -> tuple[PlayOutcome, child.Ended]:
        """Wait for it."""
        until(lambda: not isinstance(child.peek(self.run_dir, self.who, CLOCK), child.Running), 60, "the play ends")
        ended = child.peek(self.run_dir, self.who, CLOCK)
        assert isinstance(ended, child.Ended), child.stderr_path(self.run_dir).read_text()
        return playbook.outcome(self.run_dir, ended), ended

    def printed(self) -> str:
        """All output."""
        return child.stdout_path(self.run_dir).read_text() + child.stderr_path(self.run_dir).read_text()


@pytest.fixture
def place(tmp_path: Path, sshd: Sshd) -> Place:
    """An inventory with this machine, an SSH host, and the same host under an inventory that fights the known hosts."""
    python = f"ansible_python_interpreter=/usr/bin/python3 ansible_remote_tmp={tmp_path}/remote"
    ssh = f"ansible_host={sshd.address} ansible_port={sshd.port} ansible_user={sshd.user} ansible_ssh_private_key_file={sshd.key_file}"
    off = "ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null' ansible_host_key_checking=false"
    args = "ansible_ssh_args='-o StrictHostKeyChecking=no' ansible_ssh_extra_args='-o StrictHostKeyChecking=no'"
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        f"here ansible_connection=local {python}\nweb1 {ssh} {python}\nloose {ssh} {python} {off} {args}\n"
    )
    known_hosts = tmp_path / "known hosts 100%"
    known_hosts.write_text(f"[{sshd.address}]:{sshd.port} {sshd.public_key}\n")
    return Place(folder=tmp_path, inventory=inventory, known_hosts=known_hosts)


def is_dead(pid: int) -> bool:
    found = shim.stat_of(pid)
    return found is None or found[0] in "ZX"


def of_run(run: Run) -> list[int]:
    """What still carries the mark of this run."""
    return child._marked(f"{shim.MARK}={run.run_dir.resolve()}".encode())


def test_hostile_values_arrive_on_a_host_over_ssh_as_they_are(place: Place, canary: str) -> None:
    """Through nesting, set_fact, an indirect variable and argv; and a secret among them is kept nowhere."""
    target = place.folder / "target"
    target.mkdir()
    variables = {"given": GIVEN, "other": "{{ given }}", "folder": str(target), "token": canary}
    run = place.start(Play(playbook="literal.yml", hosts=("web1",), variables=variables, secret=("token",)))
    until(lambda: any(b"ansible-playbook" in cmdline(pid) for pid in of_run(run)), 30, "Ansible runs")
    assert search_processes(canary) == ()
    outcome, _ = run.end()
    assert outcome.ok, outcome.summary + run.printed()
    content = json.loads((target / "content.json").read_text())
    assert content == {"given": GIVEN, "kept": GIVEN, "indirect": "{{ given }}"}
    assert [type(each) for each in content["given"]["numbers"]] == [type(each) for each in GIVEN["numbers"]]
    assert json.loads((target / "argv.json").read_text()) == [HOSTILE[0]]
    assert search_canary(canary, [run.run_dir]) == ()
    assert "with the token ********" in run.printed()
    assert sorted(path.name for path in run.run_dir.iterdir()) == [
        "events.jsonl", "packet.json", "rc.json", "shim.json", "stderr", "stdout",
    ]  # fmt: skip
    until(lambda: not of_run(run), 5, "kept SSH connections are hung up")


def test_an_inventory_cannot_switch_host_keys_off(place: Place, tmp_path: Path) -> None:
    place.known_hosts.write_text("")
    variables = {"folder": str(tmp_path), "token": "x"}
    outcome, _ = place.start(Play(playbook="failing.yml", hosts=("loose",), variables=variables)).end()
    assert not outcome.ok
    assert outcome.unreachable == ("loose",)
    assert "Host key verification failed" in outcome.summary
    assert place.known_hosts.read_text() == ""


def test_a_play_that_is_stopped_is_dead_here_and_on_its_host(place: Place, tmp_path: Path) -> None:
    run = place.start(Play(playbook="hanging.yml", hosts=("web1",), variables={"folder": str(tmp_path)}))
    remote = hanging(tmp_path)
    ended = child.stop(run.run_dir, run.who, CLOCK)
    assert isinstance(ended, child.Ended)
    assert (ended.how, ended.survivors) == ("stopped", 0)
    outcome, _ = run.end()
    assert (outcome.summary, outcome.started) == ("stopped during 'hang'", True)
    assert of_run(run) == []
    until(lambda: is_dead(remote), 10, "the host's side was hung up")


def test_what_hangs_or_asks_dies_at_its_deadline_and_never_passes_silently(place: Place, tmp_path: Path) -> None:
    names = ("hanging.yml", "asking.yml", "asking_first.yml")
    variables = {"folder": str(tmp_path)}
    runs = [place.start(Play(playbook=name, hosts=("here",), variables=variables), seconds=10) for name in names]
    hung = hanging(tmp_path)
    ends = [run.end() for run in runs]
    assert [ended.how for _, ended in ends] == ["deadline"] * 3
    assert [outcome.ok for outcome, _ in ends] == [False] * 3
    assert ends[0][0].summary == "killed at its deadline during 'hang'"
    assert [of_run(run) for run in runs] == [[], [], []]
    assert is_dead(hung)
    assert "Shall I go on" in runs[1].printed()
    assert not (tmp_path / "went-on").exists()
    assert not (tmp_path / "began").exists()


def hanging(folder: Path) -> int:
    """The process that hangs, once it does."""
    pid = folder / "pid"
    until(lambda: pid.exists() and pid.read_text().endswith("\n"), 30, "it hangs")
    return int(pid.read_text())


def test_how_plays_fail_is_told_in_words(place: Place, canary: str) -> None:
    """Failing with a secret in its message, rescued, unreadable, matching no host: four plays at once."""
    names = ("failing.yml", "rescued.yml", "broken.yml", "elsewhere.yml")
    variables = {"token": canary}
    runs = [place.start(Play(playbook=name, hosts=("here",), variables=variables, secret=("token",))) for name in names]
    failing, rescued, broken, elsewhere = (run.end()[0] for run in runs)
    assert not any(outcome.ok for outcome in (failing, rescued, broken, elsewhere))
    assert (failing.failed, failing.tasks_run, failing.last_task) == (("here",), 2, "use the token")
    assert failing.summary == "failed on here: use the token: non-zero return code; no entry with ********"
    assert (rescued.rescued, rescued.failed) == (("here",), ())
    assert "YAML parsing failed" in broken.summary
    assert "broken.yml:5" in broken.summary
    assert not broken.started
    assert (elsewhere.summary, elsewhere.exit_code) == ("no host matched", 0)
    assert search_canary(canary, [run.run_dir for run in runs]) == ()


def test_a_daemon_killed_in_mid_play_loses_no_task(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    program = f"""
        import os
        from pathlib import Path
        from agent.actions import playbook
        from agent.clock import SystemClock
        from agent.transports import child
        play = playbook.Play(playbook="two_steps.yml", hosts=("here",), variables={{"folder": {str(tmp_path)!r}}})
        run_dir = Path({str(tmp_path / "run")!r})
        packet = playbook.packet(play, run_dir=run_dir, playbooks=Path({str(PLAYBOOKS)!r}), inventory=Path({str(place.inventory)!r}), known_hosts=run_dir, timeout_seconds=60)
        child.launch(run_dir, packet, SystemClock())
        os.kill(os.getpid(), 9)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False).returncode == -signal.SIGKILL
    (tmp_path / "gate").write_text("go\n")  # waits for the first task
    who = child.kept_by(tmp_path / "run")
    assert who is not None
    outcome, _ = Run(run_dir=tmp_path / "run", who=who).end()
    assert (outcome.ok, outcome.tasks_run) == (True, 2)
    assert (tmp_path / "second").read_text() == "done"


def test_ansible_killed_in_mid_play_is_no_success_and_its_workers_do_not_go_on(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    run = place.start(Play(playbook="two_steps.yml", hosts=("here",), variables={"folder": str(tmp_path)}))
    waiting = f"cat\0{tmp_path}/gate\0".encode()
    until(lambda: any(cmdline(pid) == waiting for pid in of_run(run)), 30, "the first task runs")
    first = min(pid for pid in shim.descendants(run.who.pid) if b"ansible-playbook" in cmdline(pid))
    os.kill(first, signal.SIGKILL)
    outcome, ended = run.end()
    assert (ended.how, outcome.ok, outcome.started) == ("signalled", False, True)
    assert of_run(run) == []
    assert not (tmp_path / "second").exists()


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_rehearsal_changes_nothing_and_says_what_it_would_change(place: Place, tmp_path: Path) -> None:
    (tmp_path / "gate").write_text("open\n")
    play = Play(playbook="two_steps.yml", hosts=("here",), variables={"folder": str(tmp_path)})
    outcome, _ = place.start(playbook.Playbook.rehearse(play)).end()
    assert outcome.ok, outcome.summary
    assert outcome.summary == "rehearsed 1 task, 1 would change something, 1 could not be predicted"
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("play", "message"),
    [
        (Play(playbook="nowhere.yml", hosts=("here",)), "there is no playbook 'nowhere.yml'"),
        (Play(playbook="../playbooks/literal.yml", hosts=("here",)), "lies outside"),
        (Play(playbook="literal.yml", hosts=()), "no hosts"),
        (Play(playbook="literal.yml", hosts=("all:!web1",)), "not a host's name"),
        (Play(playbook="literal.yml", hosts=("@/etc/passwd",)), "not a host's name"),
        (Play(playbook="literal.yml", hosts=("web*",)), "not a host's name"),
        *(
            (Play(playbook="literal.yml", hosts=("here",), variables={name: "x"}), f"refused variable {name}")
            for name in (
                "ansible_ssh_common_args",
                "inventory_hostname",
                "group_names",
                "hostvars",
                "role_path",
                "become",
            )
        ),
    ],
)
def test_what_must_not_run_is_refused_before_anything_starts(place: Place, play: Play, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("*", r"\*")) as caught:
        place.start(play)
    assert caught.value.hint
    assert not (place.folder / "state folder").exists()


def test_the_action_says_that_it_changes_things_and_can_be_rehearsed() -> None:
    play = Play(playbook="literal.yml", hosts=("here",), variables={"token": "canary"})
    assert registry.scan(agent.actions, FAMILY) == {"playbook": playbook.Playbook}
    assert playbook.Playbook.CHANGES
    assert playbook.Playbook.rehearse(play) == dataclasses.replace(play, check=True)
    assert "canary" not in repr(play)


def test_texts_of_secrets_are_blanked_in_all_their_forms() -> None:
    from agent.actions import __main__ as program

    secret = "p\"a's\\s é\nsecond line"
    forms = program._forms([secret, "abc"])
    written: Iterable[str] = (secret, json.dumps(secret), json.dumps({"cmd": secret}, ensure_ascii=False), repr(secret))
    for text in written:
        for form in forms:
            text = text.replace(form, "*")  # noqa: PLW2901  # as the program does
        assert "a's" not in text
        assert "second line" not in text
    assert "abc" not in forms
