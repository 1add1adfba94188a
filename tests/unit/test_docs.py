"""What the documents show is true: their policies load, their tables are the code's, their snippets work."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import agent.checks
from agent.app import Builder
from agent.checks import FAMILY, exchange, log, perfdata, reading, relaying, snmp, tabling, tcp, values
from agent.model.config import Safety
from agent.model.gate import Facts, Request, Scope, Trigger
from agent.model.remedy import DEFAULT_LIMITS, Budget
from agent.policy import source
from agent.practices.gates import GATES
from agent.registry import scan
from agent.runtime.looking import CONNECT_SECONDS
from agent.sinks.webhook import signature
from agent.store import samples
from agent.transports import device
from agent.transports.dial import DEAD_AFTER_SECONDS
from agent.transports.framing import SECTION_LIMIT
from agent.transports.snmp import session
from agent.units import seconds_text
from docs import probes

TOP = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w./-]+\.ya?ml)\n")
EMPTY_PLAYBOOK = "- hosts: all\n  tasks: []\n"


def text(name: str) -> str:
    """A document, by its name from the top."""
    return (TOP / name).read_text(encoding="utf-8")


def fences(name: str, language: str) -> list[str]:
    """What stands between the fences of that language."""
    return [content for kind, content in FENCE.findall(text(name)) if kind == language]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config.yaml of a home made of the YAML in the documents.

    A fence whose first line is a file's name is that file; `# wrong` has mistakes; the others are parts of a policy.
    """
    folder = tmp_path_factory.mktemp("home")
    for part in ("policies", "playbooks", "inventory", "secrets", "var"):
        (folder / part).mkdir()
    examples = [
        example
        for name in (
            "docs/policies.md",
            "docs/device-configs.md",
            "docs/recovery.md",
            "docs/backup-rounds.md",
            "docs/drills.md",
            "docs/databases.md",
            "docs/files.md",
            "docs/upkeep.md",
            "README.md",
        )
        for example in fences(name, "yaml")
    ]
    for number, example in enumerate(example for example in examples if not example.startswith("# wrong\n")):
        named = NAMED.match(example)
        path = folder / (named[1] if named else f"policies/example-{number}.yaml")
        path.write_text(example if named else f"version: 1\nservice: example-{number}\n{example}")
    for playbook in re.findall(r"playbook: ([\w-]+\.yml)", "".join(examples)):
        if not (folder / "playbooks" / playbook).exists():
            (folder / "playbooks" / playbook).write_text(EMPTY_PLAYBOOK)
    return folder / "config.yaml"


def test_the_repositories_of_the_page_on_upkeep_are_those_of_the_configuration() -> None:
    """Shown there without the rest of config.yaml, and as they load here."""
    (shown,) = (one for one in re.findall(r"^```\n(.*?)^```", text("docs/upkeep.md"), re.MULTILINE | re.DOTALL))
    assert shown in text("docs/policies.md")


def test_every_policy_of_the_documents_loads(config: Path) -> None:
    loaded = Builder(config).load()
    assert not loaded.problems
    assert loaded.policies is not None
    assert "shop/checks/storefront@web1" in loaded.policies.checks
    assert "agent/checks/reach@web1" in loaded.policies.checks
    assert "shop/backups/settings@this-host" in loaded.policies.checks


def test_the_mistakes_of_the_documents_are_told_as_they_stand_there(config: Path) -> None:
    (wrong,) = (example for example in fences("docs/policies.md", "yaml") if example.startswith("# wrong\n"))
    path = config.parent / "policies/mistakes.yaml"
    path.write_text(wrong.partition("\n")[2])
    problems = Builder(config).load().problems
    path.unlink()
    assert "".join(f"{problem}\n" for problem in problems) in fences("docs/policies.md", "text")


def test_the_policy_of_the_readme_has_ten_lines() -> None:
    assert [len(example.splitlines()) - 1 for example in fences("README.md", "yaml")] == [10]


def rows(name: str, title: str) -> Iterator[list[str]]:
    """The cells of the first table below a title."""
    _, _, below = text(name).partition(f"\n{title}\n")
    table = re.search(r"^\|.*?\n\n", below, re.MULTILINE | re.DOTALL)
    assert table is not None, title
    for line in table[0].strip().splitlines()[2:]:
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_gates_are_those_of_the_code_in_their_order() -> None:
    nobody = Scope(name="the fleet", hosts=frozenset(), unhealthy=frozenset())
    facts = Facts(now_us=0, fleet=nobody, global_budget=Budget(count=1, seconds=1), breaker_cooldown_seconds=1)
    request = Request(item="a/b/c", service="a", hosts=(), trigger=Trigger.AUTOMATIC, actor="agent", cause="a")
    numbered = [[str(number), gate(request, facts).gate] for number, gate in enumerate(GATES, start=1)]
    assert [row[:2] for row in rows("docs/policies.md", "### The gates")] == numbered


def test_the_limits_are_those_of_the_code() -> None:
    limits, safety = DEFAULT_LIMITS, Safety()
    in_hours = {str(budget): f"{budget.count} per {budget.seconds / 3600:g}h" for budget in (
        limits.per_host, limits.per_policy, limits.same_symptom, safety.global_budget)}  # fmt: skip
    assert [row[2] for row in rows("docs/policies.md", "### Limits")] == [
        in_hours[str(limits.per_host)],
        in_hours[str(limits.per_policy)],
        str(limits.at_once),
        seconds_text(limits.cooldown_seconds),
        in_hours[str(limits.same_symptom)],
        f"{limits.stop_if_failing:.0%}",
        in_hours[str(safety.global_budget)],
        seconds_text(safety.breaker_cooldown_seconds),
    ]


def test_the_limits_of_a_file_are_those_of_the_code() -> None:
    told = f"at most {source.MOST_BYTES // 1_000_000} MB, {source.MOST_NODES:,} values and {source.DEEPEST} levels"
    assert told in text("docs/policies.md")


def test_what_a_look_may_cost_is_what_the_code_allows() -> None:
    limits = {row[0]: [int(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", row[1])] for row in rows(
        "docs/policies.md", "### What a look may cost")}  # fmt: skip
    assert limits == {
        "one look": [CONNECT_SECONDS, DEAD_AFTER_SECONDS],
        "what a script prints on a host": [SECTION_LIMIT],
        "what `command` and `nagios` print": [reading.OUTPUT_BYTES, reading._WASTE_BYTES],
        "metrics of a plugin": [perfdata._METRICS],
        "body of a web page": [exchange.BODY_BYTES, reading.JSON_VALUES],
        "answer to `tcp": [tcp._ANSWER_BYTES],
        "answer to `sql": [relaying.MOST_BYTES, values.MOST],
        "one command of a device": [device.MOST_BYTES, values.MOST, tabling._SECONDS],
        "one look by SNMP": [session.MOST_BYTES, session.MOST_CELLS, snmp._MOST_ROWS],
        "instances of one check whose metrics are kept as samples": [samples.MOST_INSTANCES],
        "a log that is read on": [log._MOST_BYTES],
        "what is kept of it": [reading.SUMMARY_CHARACTERS, reading.EVIDENCE_CHARACTERS],
    }


def test_the_pages_of_probes_are_made_from_the_probes() -> None:
    there = {path: path.read_text(encoding="utf-8") for path in (probes.PAGE, *probes.FOLDER.iterdir())}
    assert there == probes.pages(), "run: .venv/bin/python docs/probes.py"


INVENTORY = """
all:
  vars: {ansible_host: 192.0.2.1}
  hosts:
    web1:
    web2:
    switch1: {ansible_connection: network_cli, ansible_network_os: cisco.ios.ios, snmp_community: {secret: snmp}}
"""


def test_every_probe_has_an_example_that_loads_as_a_policy(tmp_path: Path) -> None:
    known = scan(agent.checks, FAMILY)
    (tmp_path / "policies").mkdir()
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/hosts.yml").write_text(INVENTORY)
    (tmp_path / "config.yaml").write_text("version: 1\nname: examples\nowner: us\nteams: {us: {members: []}}\n")
    for example in probes.EXAMPLES.iterdir():
        policy = f"version: 1\nservice: {example.stem}\n{example.read_text(encoding='utf-8')}"
        (tmp_path / "policies" / example.name).write_text(policy)
    loaded = Builder(tmp_path / "config.yaml").load()
    assert not loaded.problems
    assert loaded.policies is not None
    shown = {check.service for check in loaded.policies.checks.values() if check.kind == check.service}
    assert shown == set(known) == {example.stem for example in probes.EXAMPLES.iterdir()}


def receiver() -> Callable[[str, str, bytes, float], bool]:
    """The receiver's function, from the document."""
    (snippet,) = fences("docs/webhook.md", "python")
    module = ModuleType("receiver")
    exec(compile(snippet, "docs/webhook.md", "exec"), vars(module))  # noqa: S102  # our own document
    found: Callable[[str, str, bytes, float], bool] = module.is_ours
    return found


@pytest.mark.parametrize(
    ("sent", "age_seconds", "accepted"),
    [
        (b'{"number":"INC0000001"}', 0, True),
        (b'{"number":"INC0000002"}', 0, False),  # another body than the one that was signed
        (b'{"number":"INC0000001"}', 3600, False),  # an old message, sent again by somebody
    ],
)
def test_the_receiver_of_the_documents_knows_what_we_signed(sent: bytes, age_seconds: int, *, accepted: bool) -> None:
    header = signature("the secret", 1_800_000_000, b'{"number":"INC0000001"}')
    assert receiver()("the secret", header, sent, 1_800_000_000 + age_seconds) is accepted


@pytest.mark.parametrize("header", ["", "t=x,v1=", "t=1", "v1=00", "t=1800000000,v1=é", "t=,v1=,t="])
def test_the_receiver_of_the_documents_takes_no_nonsense(header: str) -> None:
    assert not receiver()("the secret", header, b"{}", 1_800_000_000)


def test_a_decision_fits_on_a_screen_and_says_what_was_given_up() -> None:
    notes = sorted((TOP / "docs/decisions").glob("*.md"))
    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    for note in notes:
        lines = note.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 30, note.name
        assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Choice", "## Given up"], (
            note.name
        )
