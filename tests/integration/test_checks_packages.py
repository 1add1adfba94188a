"""packages by a real apt with folders of its own: what it counts, and what it says without lists."""

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.checks.packages import Packages, PackagesOptions
from agent.clock import Deadline, SystemClock
from agent.model.look import Look, Section, Verdict
from agent.transports import local

CLOCK = SystemClock()
INSTALLED = "Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: all\nMaintainer: a\nDescription: a\n\n"
OFFERED = "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a\nFilename: {name}.deb\nSize: 1\nSHA256: {digest}\nDescription: a\n\n"
RELEASE = "Origin: Debian\nLabel: {label}\nSuite: {suite}\nCodename: {suite}\n"


class Apt:
    """A package manager in a folder: its status file, and archives of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("state/lists/partial", "cache/archives/partial", "etc"):
            (folder / part).mkdir(parents=True)
        self._status, self._sources = folder / "state/status", folder / "etc/sources.list"
        self._config = folder / "apt.conf"
        self._config.write_text(
            f'Dir::State "{folder}/state"; Dir::State::status "{self._status}"; Dir::Cache "{folder}/cache";'
            f'Dir::Etc "{folder}/etc"; APT::Sandbox::User "root"; Acquire::Languages "none"; APT::Architecture "amd64";'
        )
        self._sources.write_text("")

    def install(self, **packages: str) -> None:
        """Say that these are installed, by name and version."""
        self._status.write_text("".join(INSTALLED.format(name=name, version=packages[name]) for name in packages))

    def offer(self, suite: str, label: str, **packages: str) -> None:
        """One more archive with these."""
        archive = self._folder / suite
        archive.mkdir()
        text = "".join(OFFERED.format(name=name, version=packages[name], digest="0" * 64) for name in packages)
        (archive / "Packages.gz").write_bytes(gzip.compress(text.encode()))
        (archive / "Release").write_text(RELEASE.format(label=label, suite=suite))
        with self._sources.open("a") as sources:
            sources.write(f"deb [trusted=yes] file:{archive} ./\n")
        subprocess.run(["apt-get", "update", "-qq"], env=self._environment(), check=True, capture_output=True)

    def look(self) -> Look:
        """What the probe says."""
        argv = ["sh", "-c", f"exec 2>&1\n{Packages.script(PackagesOptions())}"]
        done = local.run(argv, deadline=Deadline.after(CLOCK, 60), env=self._environment())
        return Packages.read(Section(text=done.stdout, exit_code=done.exit_code), PackagesOptions())

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "APT_CONFIG": str(self._config)}


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    if shutil.which("apt") is None:
        pytest.skip("no apt on this machine")
    return Apt(tmp_path)


def test_updates_are_counted_and_those_for_security_apart(apt: Apt) -> None:
    apt.install(**{"wk-old": "1.0", "wk-new": "2.0", "wk-holed": "1.0", "libmod-security": "1.0"})
    apt.offer("stable", "Debian", **{"wk-old": "1.1", "wk-new": "2.0", "libmod-security": "1.1", "wk-other": "1.0"})
    apt.offer("stable-security", "Debian-Security", **{"wk-holed": "1.0+deb12u1"})
    look = apt.look()
    assert look.verdict is Verdict.OK, look
    assert (look.metrics["pending"], look.metrics["security"]) == (3, 1)
    assert "security: wk-holed" in look.evidence
    assert 0 <= float(look.metrics["lists_age"]) < 600
    assert look.metrics["reboot_needed"] in {"yes", "no"}


def test_what_is_up_to_date_has_nothing_pending(apt: Apt) -> None:
    apt.install(**{"wk-new": "2.0"})
    apt.offer("stable", "Debian", **{"wk-new": "2.0"})
    assert apt.look().summary.startswith("0 updates wait, 0 of them for security")


def test_without_lists_nobody_knows_what_is_new(apt: Apt) -> None:
    apt.install(**{"wk-old": "1.0"})
    look = apt.look()
    assert (look.verdict, look.metrics) == (Verdict.UNKNOWN, {})
    assert "apt-get update has never run" in look.summary


DNF = """\
#!/bin/sh
# Stands in for dnf, which this system has not: prints what dnf 4.14 printed on a host with updates.
case " $* " in *" -C check-update "*) ;; *) exit 2;; esac
case "$*" in *--security*) printf '\\nopenssl.x86_64    1:3.0.7-28.el9_4   baseos\\n'; exit 100;; esac
printf '\\nkernel.x86_64     5.14.0-427.el9   baseos\\nopenssl.x86_64    1:3.0.7-28.el9_4   baseos\\n'
printf 'vim-minimal.x86_64    2:8.2.2637-20.el9  baseos\\nObsoleting Packages\\n'
printf 'grub2-tools.x86_64  1:2.06-80.el9  baseos\\n    grub2-tools.x86_64  1:2.06-77.el9  @baseos\\n'
exit 100
"""


@pytest.mark.parametrize(
    ("dnf", "words"),
    [
        (DNF, "3 updates wait, 1 of them for security"),
        ("#!/bin/sh\nexit 0\n", "0 updates wait, 0 of them for security"),
        ("#!/bin/sh\necho 'Error: Cache-only enabled but no cache for baseos' >&2; exit 1\n", "Cache-only enabled"),
        (None, "no apt-get and no dnf on this host"),
    ],
)
def test_a_host_with_dnf_or_with_neither(tmp_path: Path, dnf: str | None, words: str) -> None:
    for program in ("sh", "awk", "stat", "sort", "tail", "head", "date", "uname", "ls"):
        found = shutil.which(program)
        assert found is not None
        (tmp_path / program).symlink_to(found)
    if dnf is not None:
        (tmp_path / "dnf").write_text(dnf)
        (tmp_path / "dnf").chmod(0o755)
    argv = [str(tmp_path / "sh"), "-c", f"exec 2>&1\n{Packages.script(PackagesOptions())}"]
    done = local.run(argv, deadline=Deadline.after(CLOCK, 20), env={"PATH": str(tmp_path)})
    look = Packages.read(Section(text=done.stdout, exit_code=done.exit_code), PackagesOptions())
    assert words in look.summary, (look, done.stdout)
    assert (look.verdict is Verdict.OK) == ("updates wait" in words)
