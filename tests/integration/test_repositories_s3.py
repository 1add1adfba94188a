"""A repository in S3, where a server for it is at hand (WATCHKEEPER_TEST_S3_SERVER): by reference, founded, proven."""

from pathlib import Path

from agent.backups import Outcome
from tests.canary import search_canary
from tests.far import far
from tests.lab import vaults


def test_a_bucket_holds_a_repository_and_nobody_sees_its_key(tmp_path: Path, restic: str, canary: str) -> None:
    (tmp_path / "vault").mkdir()
    with vaults.behind_s3(tmp_path / "vault", canary) as there:
        found = far(tmp_path, there, restic, url_secret="where")
        assert found.access.place == "secret:where/web1"
        vault = found.vault
        saved = vault.backup("01A")
        assert (saved.outcome, saved.faults) == (Outcome.OK, ()), saved
        assert vault.drill("01B", manifest=saved.manifest).passed
        assert [one.exec_id for one in vault.snapshots().snapshots] == ["01A"]
        assert search_canary(canary, [vault.state]) == ()
    refused = vault.backup("01C")
    assert refused.outcome is Outcome.UNREACHABLE, refused
