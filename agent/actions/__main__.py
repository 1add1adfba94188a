"""The program that runs one play inside the shim: `python -m agent.actions JOB VARIABLES_FILE SECRETS_FILE`.

It calls ansible-runner, keeps one short line per result in events.jsonl and blanks secrets in all that is kept.
What ansible-runner itself writes down (arguments, environment, results) stays in the scratch folder, which the shim
removes.
"""

import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.transports import openssh

EVENTS, SCRATCH = "events.jsonl", "tmp"
SSH_CONFIG = "config"
BLANK = "********"
SHORTEST_SECRET = 4  # characters; blanking shorter ones would make the output unreadable
LONGEST_MESSAGE = 1_000
RESULTS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
    "runner_on_start": "start",
    "playbook_on_task_start": "task",
    "playbook_on_stats": "stats",
}


class Keeper:
    """Takes ansible-runner's events and keeps what the outcome needs."""

    def __init__(self, events: Path, secrets: Sequence[str]) -> None:
        self._file = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._secrets = _forms(secrets)

    def keep(self, line: Mapping[str, Any]) -> None:
        """Append one line, at once."""
        kept = {name: self._blanked(line[name]) if name in {"task", "message"} else line[name] for name in line}
        os.write(self._file, json.dumps(kept).encode() + b"\n")

    def on_event(self, event: Mapping[str, Any]) -> bool:
        """Keep an event's gist and print its text; False tells ansible-runner not to write it down."""
        text = str(event.get("stdout") or "")
        if text:
            sys.stdout.write(self._blanked(text) + "\n")
            sys.stdout.flush()
        kind = RESULTS.get(str(event.get("event")))
        data = event.get("event_data") or {}
        if kind is not None:
            self.keep({"event": kind, **_gist(kind, data)})
        elif event.get("event") == "verbose" and (complaint := _complaint(text)):
            self.keep(complaint)
        return False

    def _blanked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, BLANK)
        return text


def _forms(secrets: Sequence[str]) -> list[str]:
    """Each secret as it may show up: as it is, line by line, and as JSON, a shell or Python would write it."""
    pieces = {piece for secret in secrets for piece in (secret, *secret.splitlines())}
    long = [piece for piece in pieces if len(piece.strip()) >= SHORTEST_SECRET]
    forms = set(long)
    for piece in long:
        once = {
            json.dumps(piece)[1:-1],
            json.dumps(piece, ensure_ascii=False)[1:-1],
            shlex.quote(piece),
            repr(piece)[1:-1],
        }
        forms |= once | {json.dumps(form, ensure_ascii=False)[1:-1] for form in once}
    return sorted(forms, key=len, reverse=True)


def _gist(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "stats":
        return {name: sorted(data.get(name) or {}) for name in ("failures", "rescued", "ignored")}
    result = data.get("res") or {}
    gist: dict[str, Any] = {"task": data.get("task") or "", "action": data.get("task_action") or ""}
    if kind != "task":
        gist["host"] = data.get("host") or ""
    if kind in {"ok", "failed"}:
        gist |= {"changed": bool(result.get("changed")), "ignored": bool(data.get("ignore_errors"))}
    if kind in {"failed", "unreachable"}:
        gist["message"] = _message(result)
    return gist


def _message(result: Mapping[str, Any]) -> str:
    """What went wrong in one task, as short as it can be said."""
    for item in result.get("results") or ():
        if isinstance(item, dict) and item.get("failed"):
            return _message({name: value for name, value in item.items() if name != "results"})
    words = [str(result[name]) for name in ("msg", "censored", "reason") if result.get(name)]
    last = [str(result[name]).strip().splitlines()[-1] for name in ("stderr", "module_stderr") if result.get(name)]
    return "; ".join([*words, *last])[:LONGEST_MESSAGE] or "no message"


def _complaint(text: str) -> dict[str, str] | None:
    """A line in which Ansible complains about the play as a whole, or says where; None when it is neither."""
    for mark in ("[ERROR]: ", "ERROR! "):
        if mark in text:
            return {"event": "error", "message": text.partition(mark)[2].strip()[:LONGEST_MESSAGE]}
    if text.startswith("Origin: "):
        return {"event": "error", "message": "at " + text.removeprefix("Origin: ").strip()[:LONGEST_MESSAGE]}
    return None


def settings(job: Mapping[str, Any], scratch: Path) -> dict[str, str]:
    """The environment of ansible-playbook, beyond the shim's: nothing is asked, kept or trusted unasked."""
    own = Path(job["playbooks"]) / "ansible.cfg"
    if not own.exists():
        own = scratch / "ansible.cfg"
        own.write_text("[defaults]\n", encoding="utf-8")
    return {
        "ANSIBLE_CONFIG": str(own),  # neither the user's nor the machine's
        "ANSIBLE_LOCAL_TEMP": str(scratch / "local"),
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_NOCOWS": "True",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_NO_TARGET_SYSLOG": "True",  # modules would log their arguments on the host
        "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "False",
        # With a terminal on the host, what runs there is hung up when the connection goes; pipelining has none
        "ANSIBLE_PIPELINING": "False",
    }


def connection(job: Mapping[str, Any], folder: str) -> dict[str, object]:
    """Variables that no inventory and no play can override: known hosts only, and sockets with short names.

    The first value of an ssh option counts: `ansible_ssh_common_args` of an inventory may add a jump host, but cannot
    switch host keys off. To the ssh that it starts for a jump host (`-J`), ssh hands on nothing but its `-F`.
    """
    options = (
        *openssh.trusting(str(job["known_hosts"])),
        "ControlMaster=auto",
        "ControlPersist=60s",
        f"ControlPath={folder}/%C",
    )
    arguments = shlex.join(["-F", f"{folder}/{SSH_CONFIG}", *(word for option in options for word in ("-o", option))])
    return {"ansible_ssh_args": arguments, "ansible_host_key_checking": True, "ansible_ssh_host_key_checking": True}


def ssh_config(job: Mapping[str, Any]) -> str:
    """What every ssh of the play reads first (ssh_config(5)): how jump hosts are reached; then what the user has."""
    return openssh.config_text(str(job["known_hosts"]), job["hops"])


def hand_over(content: bytes, path: Path) -> None:
    """Let the first who opens this path read the content, and nobody after; it never is in a file.

    Ansible resolves the names of its files, so the memory behind /proc/PID/fd/N, which has none, is not for it.
    """
    os.mkfifo(path, 0o600)

    def feed() -> None:
        with path.open("wb") as pipe:  # waits for the reader
            path.unlink()
            pipe.write(content)

    threading.Thread(target=feed, daemon=True).start()


def run(job: Mapping[str, Any], variables: bytes, keeper: Keeper) -> int | None:
    """Run the play; ansible-playbook's exit code, None when a signal ended it."""
    import ansible_runner  # type: ignore[import-untyped]  # it has neither stubs nor a py.typed

    from agent.actions.play_variables import as_yaml

    scratch = Path(SCRATCH).absolute()
    for folder in ("ssh", "runner"):
        (scratch / folder).mkdir(mode=0o700, parents=True)
    sockets = f"/proc/{os.getppid()}/cwd/{SCRATCH}/ssh"  # the shim's folder: a socket's name may have 107 bytes
    ours = scratch / "connection.yml"
    ours.write_bytes(as_yaml(connection(job, sockets)))
    (scratch / "ssh" / SSH_CONFIG).write_text(ssh_config(job), encoding="utf-8")
    hand_over(variables, scratch / "variables")
    options = ["-e", f"@{scratch}/variables", "-e", f"@{ours}", *(("--check", "--diff") if job["check"] else ())]
    try:
        done = ansible_runner.run(
            private_data_dir=str(scratch / "runner"),
            project_dir=job["playbooks"],
            playbook=job["playbook"],
            inventory=job["inventory"],
            limit=",".join(job["hosts"]),
            cmdline=shlex.join(options),
            envvars=settings(job, scratch),
            fact_cache_type="",
            event_handler=keeper.on_event,
            quiet=True,
        )
    finally:
        _hang_up(sockets)
    code = done.rc
    return code if isinstance(code, int) else None


def _hang_up(sockets: str) -> None:
    """End the kept SSH connections of this play; they would wait for a minute."""
    from agent.transports import shim

    for pid in shim.descendants(os.getppid()):
        try:
            if sockets.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and pid != os.getpid():
                os.kill(pid, signal.SIGTERM)
        except OSError:
            continue


def main(argv: Sequence[str]) -> int:
    """Run the play that the packet describes."""
    job = json.loads(argv[1])
    secrets = json.loads(Path(argv[3]).read_bytes())
    keeper = Keeper(Path(EVENTS), secrets)
    keeper.keep({"event": "asked", "playbook": job["playbook"], "hosts": job["hosts"], "check": job["check"]})
    try:
        code = run(job, Path(argv[2]).read_bytes(), keeper)
    except BaseException as error:
        keeper.keep({"event": "error", "message": f"ansible-runner failed: {error}"})
        raise
    if code is None:
        os.kill(os.getpid(), signal.SIGKILL)  # let the shim see it, and end what was left behind
    return code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
