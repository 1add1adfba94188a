"""Where a repository is: what restic would take, and nothing that would make it start another thing."""

import pytest

from agent.backups.restic.location import Backend, at_host, parse, with_login


@pytest.mark.parametrize(
    ("url", "backend", "host", "user", "port", "of_host"),
    [
        ("/srv/restic", Backend.FOLDER, "", "", None, "/srv/restic/web1"),
        ("/srv//restic/../r/", Backend.FOLDER, "", "", None, "/srv//restic/../r/web1"),
        ("sftp:backup@vault:/srv/restic", Backend.SFTP, "vault", "backup", None, "sftp:backup@vault:/srv/restic/web1"),
        ("sftp:vault:restic", Backend.SFTP, "vault", "", None, "sftp:vault:restic/web1"),
        ("sftp://b@vault:2222//srv/r/", Backend.SFTP, "vault", "b", 2222, "sftp://b@vault:2222//srv/r/web1"),
        ("sftp://[::1]:2222/r", Backend.SFTP, "::1", "", 2222, "sftp://[::1]:2222/r/web1"),
        ("rest:https://vault:8000/shop/", Backend.REST, "", "", None, "rest:https://vault:8000/shop/web1"),
        ("s3:https://s3.example.org/bucket", Backend.S3, "", "", None, "s3:https://s3.example.org/bucket/web1"),
        ("s3:s3.example.org/bucket/x", Backend.S3, "", "", None, "s3:s3.example.org/bucket/x/web1"),
    ],
)
def test_a_url_is_read(  # a table
    url: str, backend: Backend, host: str, user: str, port: int | None, of_host: str
) -> None:
    found = parse(url)
    assert (found.backend, found.host, found.user, found.port) == (backend, host, user, port)
    assert not found.has_password
    assert at_host(url, "web1") == of_host
    assert parse(of_host).backend is backend


@pytest.mark.parametrize(
    "url",
    ["", "srv/restic", "b2:bucket", "rclone:x:y", "sftp:", "sftp:vault", "sftp:-oX=y:/srv", "sftp:a b:/srv",
     "sftp:u@-h:/srv", "rest:", "rest:vault", "rest:ftp://vault/", "rest:https://[vault/", "rest:https://v:x/",
     "s3:", "s3:https://", "s3:https://h/b?x", "/srv\nx", "sftp:h:/a b", "local:/srv"],
)  # fmt: skip
def test_what_restic_must_not_see_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(write|after|a url|there is|[a-z0-9]+: is no way)"):
        parse(url)


@pytest.mark.parametrize(
    "host", ["", ".", "..", "../x", "a/b", "-x", ".git", "data", "config", "a b", "é", "x" * 256, "a\n"]
)
def test_a_host_that_is_no_name_of_a_folder_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="per_host: false"):
        at_host("/srv/restic", host)


def test_a_login_goes_in_and_out_of_a_url_and_is_never_shown() -> None:
    url = with_login("rest:https://vault:8000/shop/", "wa:tch", "p@ss/?#")
    assert url == "rest:https://wa%3Atch:p%40ss%2F%3F%23@vault:8000/shop/"
    assert parse(url).has_password
    assert parse(url).shown() == "rest:https://vault:8000/shop/"
    assert with_login(url, "", "") == "rest:https://vault:8000/shop/"
    assert with_login("s3:s3.example.org/b", "", "") == "s3:s3.example.org/b"
