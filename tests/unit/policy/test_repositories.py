"""Repositories of config.yaml: each mistake is told at its place, before restic sees anything of it."""

from pathlib import Path

import pytest

from agent.model.backup import Repository
from agent.policy.repositories import names_no_folder
from tests.fakes import policies

PASSWORD = "password: {secret: p}"


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        (f"{{url: 'b2:bucket', {PASSWORD}}}", "url: b2: is no way to a repository"),
        (f"{{url: 'sftp:vault', {PASSWORD}}}", "url: write it like sftp:backup@vault:/srv/restic"),
        (f"{{url: 'sftp:-oProxyCommand=x:/srv', {PASSWORD}}}", "url: write it like sftp:backup@vault:/srv/restic"),
        (f"{{url: 'rest:vault', {PASSWORD}}}", "url: after rest: a web address is due"),
        (f"{{url: 'rest:https://vault/x?y', {PASSWORD}}}", "url: after rest: the address of a server and a path are due"),
        (f"{{url: 'rest:https://a:b@vault/', {PASSWORD}}}", "url: a password stands in it: put the url into a secret"),
        (f"{{url: var/x, {PASSWORD}, credentials: {{SSH_KEY: {{secret: k}}}}}}",
         "SSH_KEY: no credentials are used for a folder of this machine"),
        (f"{{url: 'sftp:vault:/srv', {PASSWORD}, credentials: {{SSH_KEYS: {{secret: k}}}}}}",
         "SSH_KEYS: unknown key 'SSH_KEYS'; did you mean 'SSH_KEY'?"),
        (f"{{url: 'rest:https://vault/', {PASSWORD}, credentials: {{RESTIC_REST_USERNAME: {{secret: k}}}}}}",
         "credentials: 'RESTIC_REST_PASSWORD' is missing"),
        (f"{{url: 's3:https://vault/x', {PASSWORD}, credentials: {{LD_PRELOAD: {{secret: k}}}}}}",
         "LD_PRELOAD: unknown key 'LD_PRELOAD'"),
        (f"{{url: var/x, {PASSWORD}, limit: 100}}", "limit: '100' has no unit"),
        (f"{{url: var/x, {PASSWORD}, limit: 0Mbit/s}}", "limit: '0Mbit/s' lets nothing through"),
        (f"{{url: var/x, {PASSWORD}, at_once: 0}}", "at_once: '0' is not a whole number above 0"),
        ("{url: var/x, password: plain}", "password: "),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_is(tmp_path: Path, repository: str, told: str) -> None:
    config = policies.new_home(tmp_path)
    config.write_text(f"version: 1\nname: x\nowner: us\nteams: {{us: {{}}}}\nrepositories:\n  main: {repository}\n")
    problems = [str(problem) for problem in policies.load_with(config, {}).problems]
    where, _, words = told.partition(": ")
    column = repository.index(where) + len("  main: ") + 1
    (problem,) = problems
    assert words in problem
    assert int(problem.split(":")[2]) in {column, column + len(f"{where}: ")}
    assert "a:b@" not in problem


def test_a_host_whose_name_is_no_name_of_a_folder_is_told_with_its_repository() -> None:
    shared = Repository(name="shared", url="/srv/a", password_secret="p", per_host=False)
    own = Repository(name="own", url="/srv/b", password_secret="p")
    assert not names_no_folder((shared,), "fe80::1")
    assert not names_no_folder((shared, own), "web-1.example.org")
    told = "host 'fe80::1' cannot name a folder in a repository: rename it, or say per_host: false of repository own"
    assert names_no_folder((shared, own), "fe80::1") == told
