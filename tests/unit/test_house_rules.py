"""The rules of the house that no linter knows: names, docstrings, and what may be started, read or caught where."""

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ("agent", "tests", "benchmarks", "docs", "playbooks", "inventory", "policies", ".ci")
BINARY = {".png", ".gif", ".jpg", ".ico", ".pyc", ".svg"}
REFUSED_NAME = re.compile(r"_*(util|helper|common|misc|manager)s?")
PLUG_INS = {"check": "checks", "sink": "sinks", "engine": "backups", "action": "actions"}  # decorator: room
STARTS_PROGRAMS = {
    "agent/transports/local.py",
    "agent/transports/child.py",
    "agent/transports/shim.py",
    "agent/transports/confine.py",
}
STARTERS = {"system", "popen", "posix_spawn", "posix_spawnp", "create_subprocess_exec", "create_subprocess_shell"}
MAY_READ = {
    "WATCHKEEPER_CONFIG",  # which configuration, as --config
    "NOTIFY_SOCKET",  # where systemd hears that we are ready: sd_notify(3)
    "WATCHDOG_USEC",  # how often systemd wants to hear from us: sd_watchdog_enabled(3)
    "WATCHKEEPER_RUN",  # the shim's mark, handed down to restic: by it a lost shim's children are found
    "RESTIC_PASSWORD_FILE",  # where the shim laid the repository's password, for restic to read
    "WATCHKEEPER_SECRETS",  # where it laid the secrets that the options of a backup name
    "RESTIC_REPOSITORY_FILE",  # and the repository's url, where a login stands in it
    "AWS_SHARED_CREDENTIALS_FILE",  # and the credentials for S3
    "RESTIC_FROM_PASSWORD_FILE",  # the same of the repository that another is a copy of
    "RESTIC_FROM_REPOSITORY_FILE",
    "WATCHKEEPER_FROM_SSH_KEY",
    "WATCHKEEPER_SSH_KEY",  # and the key for sftp
    "CREDENTIALS_DIRECTORY",  # where systemd laid the secrets: systemd.exec(5)
}
TAKES_ENVIRONMENT = {
    "agent/inventory/reading.py",  # a dynamic inventory may need what the operator's shell gives it
    "agent/secrets.py",  # the reference `env:NAME` names its variable itself
    "agent/transports/child.py",  # hands the packet's environment to the shim
    "agent/transports/shim.py",  # and the shim to the child
}
CHANGERS = {"append", "add", "extend", "insert", "update", "setdefault", "pop", "popitem", "clear", "remove", "discard"}
FIRST_LINE = re.compile(r'(?:#.*\n)*"""\S(?:.*\S)?[.?](?:"""\n|\n)')  # the whole file is not parsed for it
CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*|__all__")


def files(*folders: str) -> Iterator[Path]:
    """Every Python file of these folders."""
    for folder in folders:
        yield from sorted((TOP / folder).rglob("*.py"))


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file of these folders: its name from the top, and its tree."""
    for path in files(*folders):
        yield str(path.relative_to(TOP)), _tree(path)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(path)))


def texts() -> Iterator[tuple[str, str]]:
    """Every text file that belongs to the repository, apart from this one: its name from the top, and its text."""
    inside = [path for folder in FOLDERS for path in (TOP / folder).rglob("*") if "__pycache__" not in path.parts]
    for path in sorted([*inside, *TOP.glob("*")]):
        if path.is_file() and path.suffix not in BINARY and path != Path(__file__):
            yield str(path.relative_to(TOP)), path.read_text(encoding="utf-8", errors="replace")


def offenders(is_wrong: Callable[[ast.AST], bool], *, spared: Collection[str] = ()) -> list[str]:
    """Where in the agent a node is wrong, apart from the spared files."""
    return [
        f"{name}:{getattr(node, 'lineno', 1)}"
        for name, _ in modules("agent")
        if name not in spared
        for node in _nodes(TOP / name)
        if is_wrong(node)
    ]


def test_every_module_says_in_one_line_what_it_is() -> None:
    silent = [
        str(path.relative_to(TOP))
        for path in files("agent", "tests", "benchmarks")
        if not FIRST_LINE.match(path.read_text(encoding="utf-8"))
    ]
    assert not silent, "these need a first line that completes 'This file …' and ends in a period"


def test_no_file_is_named_after_nothing() -> None:
    refused = [path for path in files("agent", "tests", "benchmarks") if REFUSED_NAME.fullmatch(path.stem)]
    assert not refused, "name the file after its subject"


def test_a_plug_in_is_named_like_its_file_and_its_docstring() -> None:
    wrong = []
    for decorator, room in PLUG_INS.items():
        for name, tree in modules(f"agent/{room}"):
            for registered in _registered(tree, decorator):
                docstring = ast.get_docstring(tree) or ""
                if Path(name).stem != registered or not re.match(rf"\w+: {re.escape(registered)} — ", docstring):
                    wrong.append(f"{name} registers {registered!r}")
    assert not wrong, "file name = registered name = first words of the docstring (`check: tcp — …`)"


def _registered(tree: ast.Module, decorator: str) -> Iterator[str]:
    for node in tree.body:
        for call in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator:
                assert isinstance(call.args[0], ast.Constant), f"the name of a plug-in stands where it is: {node}"
                yield str(call.args[0].value)


def test_every_exception_is_caught_in_one_place_only() -> None:
    def catches_all(node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if isinstance(last := node.body[-1], ast.Raise) and last.exc is None:
            return False  # tidies up and passes on
        return any(one is None or ast.unparse(one) in {"Exception", "BaseException"} for one in caught)

    assert not offenders(catches_all, spared={"agent/runtime/workers.py"})


def test_programs_are_started_in_one_room_only() -> None:
    def starts(node: ast.AST) -> bool:
        match node:
            case ast.Import():
                return any(name.name in {"subprocess", "pty", "multiprocessing"} for name in node.names)
            case ast.ImportFrom():
                return node.module in {"subprocess", "pty", "multiprocessing", "asyncio.subprocess"}
            case ast.Attribute(value=ast.Name(id="os" | "asyncio"), attr=called):
                return called in STARTERS or called.startswith(("execv", "execl", "spawnv", "spawnl", "fork"))
        return False

    assert not offenders(starts, spared=STARTS_PROGRAMS)


def test_no_environment_variable_changes_what_the_agent_does() -> None:
    read = []
    for name, tree in modules("agent"):
        known = {id(node): key for node, key in _variables(tree)}
        for node in _nodes(TOP / name):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
                variable = known.get(id(node))
                if variable not in MAY_READ and name not in TAKES_ENVIRONMENT:
                    read.append(f"{name}:{node.lineno} {variable or 'all of it'}")
    assert not read


def _variables(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """The reads of one variable by its name: `os.environ[…]`, `os.environ.get(…)`, `os.getenv(…)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=source, slice=ast.Constant(value=str() as name)):
                yield source, name
            case ast.Call(func=ast.Attribute(value=source, attr="get"), args=[ast.Constant(value=str() as name), *_]):
                yield source, name
            case ast.Call(func=source, args=[ast.Constant(value=str() as name), *_]):
                yield source, name


def test_no_module_keeps_state() -> None:
    kept = [f"{name}: {what}" for name, tree in modules("agent") for what in (*_loose(tree), *_changed(tree))]
    assert not kept, "objects are built in agent/app and handed down; a table is UPPER_CASE, and no function changes it"


def _tables(tree: ast.Module) -> Iterator[str]:
    """Names on module level that are bound to something that can be changed."""
    changeable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        made = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).rpartition(".")[2] in {
            "dict", "list", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "Lock", "Queue", "Event",
        }  # fmt: skip
        if made or isinstance(node.value, changeable):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _loose(tree: ast.Module) -> Iterator[str]:
    yield from (f"{name} is no constant by its name" for name in _tables(tree) if not CONSTANT.fullmatch(name))


def _changed(tree: ast.Module) -> Iterator[str]:
    """Tables of the module that one of its functions changes."""
    tables = set(_tables(tree))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        match node:
            case ast.Global(names=names):
                yield f"global {', '.join(names)}"
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()) if name in tables:
                yield f"{name}[…] changes in line {node.lineno}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)) if (
                name in tables and attribute in CHANGERS
            ):
                yield f"{name}.{attribute} in line {node.lineno}"


def test_ci_runs_what_a_developer_runs() -> None:
    lines = [line for line in (TOP / ".ci/run").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines == ['cd "$(dirname "$0")/.." || exit', "exec make test"]


def test_the_locks_pin_all_by_hash_and_hold_nothing_that_we_refused() -> None:
    refused = re.compile(r"(torch|nvidia-.*|triton|httpx|httpcore)")
    for lock in sorted(TOP.glob("requirements*.lock")):
        text = lock.read_text(encoding="utf-8")
        pins = re.findall(r"^([A-Za-z0-9._-]+)==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
        starts = [line for line in text.splitlines() if not line.startswith((" ", "#"))]
        assert len(pins) == len(starts), f"{lock.name}: not every line is a pin with a hash"
        assert not [name for name in pins if refused.fullmatch(name)], lock.name


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    asked = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-build.lock": groups["build"],
        "requirements-dev.lock": [*project["project"]["dependencies"], *groups["build"], *groups["dev"][1:]],
    }
    for lock, wanted in asked.items():
        pinned = re.findall(r"^([a-z0-9-]+)==", (TOP / lock).read_text(encoding="utf-8"), re.MULTILINE)
        names = {re.split(r"[^A-Za-z0-9_-]", one, maxsplit=1)[0].lower() for one in wanted}
        assert names <= set(pinned), f"{lock} lacks {sorted(names - set(pinned))}: run make lock"


def test_the_licence_of_everything_we_load_is_named() -> None:
    notice = set((TOP / "NOTICE").read_text(encoding="utf-8").split())
    pinned = re.findall(r"^([a-z0-9-]+)==", (TOP / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert not set(pinned) - notice


def test_no_file_names_a_registry_or_a_machine() -> None:
    registry = re.compile(r"py" + r"pi\.org|python" + r"hosted|npm" + r"js\.(org|com)|(deb|security)\.debian\.org")
    here = {str(TOP), sys.base_prefix} - {"/", "/usr", "/usr/local"}
    named = [name for name, text in texts() if registry.search(text) or any(f"{path}/" in text for path in here)]
    assert not named


def test_what_the_papers_point_at_exists() -> None:
    """The README's trace, and every other file that a document names: move one, and its readers are lost."""
    roots = "|".join(re.escape(folder) for folder in FOLDERS)
    path = re.compile(rf"`((?:{roots})/[\w./-]*\w)/?`|\]\(((?!\w+:|#)[\w./-]+)[^)]*\)")
    lost = []
    for paper in [*TOP.glob("*.md"), *sorted((TOP / "docs").rglob("*.md"))]:
        for from_top, relative in path.findall(paper.read_text(encoding="utf-8")):
            if not ((TOP / from_top) if from_top else (paper.parent / relative)).exists():
                lost.append(f"{paper.relative_to(TOP)}: {from_top or relative}")
    assert not lost


def test_every_ignored_lint_rule_has_its_reason() -> None:
    text = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    ignored = re.search(r"^ignore = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert ignored is not None
    assert not [line for line in ignored[1].splitlines() if not re.search(r"# \S+ \S+", line)]
