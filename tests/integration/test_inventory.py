"""Ansible itself, asked through the child: hosts, variables, patterns, errors, and when it is not asked again."""

from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import InventoryError
from agent.inventory import Inventory
from agent.model.host import Connection
from tests.fakes import inventory

YAML = """\
all:
  hosts:
    here: {ansible_connection: local}
  children:
    web:
      vars: {base: 192.0.2}
      hosts:
        web-1: {ansible_host: "{{ base }}.1", ansible_password: hush, needs_facts: "{{ ansible_facts.x }}"}
        web-2: {looked_up: "{{ lookup('env', 'HOME') }}", day: 2026-01-01, list: [1, true, null]}
    staging:
      hosts: {web-2: }
"""


@pytest.fixture(scope="module")
def clock() -> SystemClock:
    return SystemClock()


def test_the_recorded_answer_is_the_one_that_ansible_gives(clock: SystemClock) -> None:
    """The loader's tests rest on it."""
    recorded = inventory.recorded()
    patterns = frozenset({*recorded["patterns"], *recorded["faults"]})
    real = Inventory(inventory.HOME / "inventory", clock=clock)
    assert real._ask(patterns) == recorded


def test_hosts_variables_and_patterns_are_what_ansible_makes_of_them(tmp_path: Path, clock: SystemClock) -> None:
    (tmp_path / "hosts.yaml").write_text(YAML)
    wanted = frozenset(
        {
            "web",
            "web:!staging",
            "web:&staging",
            "all",
            "*-1",
            "nowhere",
            "web:!stagin",
            "localhost",
            "web[9]",
            "!",
            "[0",
        }
    )
    found = Inventory(tmp_path / "hosts.yaml", clock=clock).read(wanted)
    assert found.patterns == {
        "web": ("web-1", "web-2"),
        "web:!staging": ("web-1",),
        "web:&staging": ("web-2",),
        "all": ("here", "web-1", "web-2"),
        "*-1": ("web-1",),
    }
    assert set(found.problems) == {"nowhere", "web:!stagin", "localhost", "web[9]", "!", "[0"}
    first, second = found.hosts["web-1"], found.hosts["web-2"]
    assert (first.address, first.groups, found.hosts["here"].connection) == ("192.0.2.1", ("web",), Connection.LOCAL)
    assert set(first.variables) & {"ansible_password", "needs_facts", "groups", "ansible_facts"} == set()
    assert "looked_up" not in second.variables
    assert (second.variables["day"], second.variables["list"]) == ("2026-01-01", [1, True, None])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("hosts.yaml", "all: {", "YAML parsing failed"), ("hosts.ini", "[web\nx=", "Completely failed to parse")],
)
def test_a_broken_inventory_is_an_error_with_its_reason(
    tmp_path: Path, clock: SystemClock, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InventoryError, match=message) as raised:
        Inventory(tmp_path / name, clock=clock).read(frozenset())
    assert raised.value.hint.startswith("try: ansible-inventory")


def test_a_missing_inventory_is_an_error(tmp_path: Path, clock: SystemClock) -> None:
    with pytest.raises(InventoryError, match="does not exist"):
        Inventory(tmp_path / "nothing", clock=clock).read(frozenset())


def test_a_static_inventory_is_asked_once_per_content(tmp_path: Path, clock: SystemClock) -> None:
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.ini").write_text("[web]\nweb-1\n")
    (folder / "group_vars" / "web.yml").write_text("site: fra\n")
    cache = tmp_path / "cache.json"
    first = Inventory(folder, clock=clock, cache=cache).read(frozenset({"web", "all"}))
    assert cache.stat().st_mode & 0o777 == 0o600
    written = cache.stat().st_mtime_ns
    again = Inventory(folder, clock=clock, cache=cache)
    assert again.read(frozenset({"web"})).patterns == {"web": ("web-1",)}
    assert cache.stat().st_mtime_ns == written
    (folder / "group_vars" / "web.yml").write_text("site: ber\n")
    changed = again.read(frozenset({"web", "all"}))
    assert (first.hosts["web-1"].variables["site"], changed.hosts["web-1"].variables["site"]) == ("fra", "ber")
    assert first.digest != changed.digest


def test_a_program_is_asked_every_time(tmp_path: Path, clock: SystemClock) -> None:
    counter = tmp_path / "asked"
    script = tmp_path / "hosts.sh"
    script.write_text(
        f'#!/bin/sh\necho >> {counter}\necho \'{{"web": {{"hosts": ["web-1"]}}, "_meta": {{"hostvars": {{}}}}}}\'\n'
    )
    script.chmod(0o755)
    dynamic = Inventory(script, clock=clock, cache=tmp_path / "cache.json")
    for _ in range(2):
        assert dynamic.read(frozenset({"web"})).patterns == {"web": ("web-1",)}
    assert counter.read_text() == "\n\n"
    script.write_text("#!/bin/sh\nexit 1\n")
    again = Inventory(script, clock=clock, cache=tmp_path / "cache.json")
    with pytest.raises(InventoryError, match="non-zero"):
        again.read(frozenset({"web"}))
    assert again.last(frozenset({"web"})).patterns == {"web": ("web-1",)}
    assert (tmp_path / "cache.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(InventoryError, match="nobody knows"):
        again.last(frozenset({"db"}))


def test_an_inventory_that_cannot_be_read_is_told_with_what_to_look_at(tmp_path: Path, clock: SystemClock) -> None:
    """At a first start there is no last answer to go by."""
    (tmp_path / "hosts.yaml").write_text("all: {hosts: {here: {}}}")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/web.yml").symlink_to("/proc/self/mem")  # a file, and root may not read it either
    with pytest.raises(InventoryError, match=r"hosts\.yaml cannot be read: .*: Input/output error") as told:
        Inventory(tmp_path / "hosts.yaml", clock=clock).read(frozenset({"all"}))
    assert told.value.hint.startswith("the agent must be able to read it: ls -lL /")
