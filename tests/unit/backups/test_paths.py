"""Paths of a policy: resolved, without overlaps, never a pattern by accident."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.backups.restic.files_options import FilesOptions
from agent.backups.restic.paths import canonical, distinct, is_below, literally


def test_parents_are_resolved_and_the_last_name_is_not(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "linked").symlink_to(real)
    assert canonical(f"{tmp_path}/linked/shop/") == f"{real}/shop"
    assert canonical(f"{tmp_path}/linked") == f"{tmp_path}/linked"
    assert canonical("/") == "/"


def test_what_lies_below_another_is_not_saved_twice() -> None:
    assert distinct(["/srv/shop", "/etc", "/srv", "/etc", "/etc-old"]) == ("/etc", "/etc-old", "/srv")
    assert distinct(["/", "/etc"]) == ("/",)


@pytest.mark.parametrize(
    ("path", "folder", "below"),
    [("/etc", "/etc", True), ("/etc/a", "/etc", True), ("/etcetera", "/etc", False), ("/etc", "/", True)],
)
def test_below(path: str, folder: str, *, below: bool) -> None:
    assert is_below(path, folder) == below


def test_a_path_with_stars_matches_itself_alone() -> None:
    assert literally(r"/srv/[a]*?\x") == r"/srv/\[a\]\*\?\\x"


@pytest.mark.parametrize("paths", ["/etc", ["/etc", "/srv/shop/"], ["/"], "/a*b"])
def test_full_paths_are_taken(paths: object) -> None:
    FilesOptions.model_validate({"paths": paths})


@pytest.mark.parametrize("paths", ["etc", "", [], "/etc/../root", "~/x", "/a\0b", ["/etc", "srv"], "/./x"])
def test_other_paths_are_refused(paths: object) -> None:
    with pytest.raises(ValidationError, match=r"full path|at least one"):
        FilesOptions.model_validate({"paths": paths})


def test_an_empty_exclusion_is_refused() -> None:
    with pytest.raises(ValidationError, match="leave it out"):
        FilesOptions.model_validate({"paths": "/etc", "exclude": ""})
