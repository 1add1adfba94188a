"""Short names: what a person types, and which keys are meant."""

import pytest

from agent.cli import naming
from agent.errors import InputError

KEYS = ("shop/checks/web@a", "shop/checks/web@b", "shop/checks/mail@a", "post/checks/mail@a", "shop/checks/url@none")


@pytest.mark.parametrize(
    ("text", "host", "meant"),
    [
        ("web", None, ["shop/checks/web@a", "shop/checks/web@b"]),
        ("shop/web", None, ["shop/checks/web@a", "shop/checks/web@b"]),
        ("checks/web@b", None, ["shop/checks/web@b"]),
        ("shop/checks/web", "a", ["shop/checks/web@a"]),
        ("post/mail", None, ["post/checks/mail@a"]),
        ("url", None, ["shop/checks/url@none"]),
        ("url@none", None, ["shop/checks/url@none"]),
    ],
)
def test_a_short_name_means_every_host_of_one_item(text: str, host: str | None, meant: list[str]) -> None:
    assert naming.matching(KEYS, text, "check", host=host) == meant


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("wbe", "there is no check 'wbe'", "did you mean 'web'?"),
        ("shpo/web", "there is no check 'shpo/web'", "did you mean 'shop/web'?"),
        ("shop/checks/wbe", "there is no check", "did you mean 'shop/checks/web'?"),
        ("mail", "may mean post/checks/mail or shop/checks/mail", "in full"),
        ("web@c", "shop/checks/web is not on c", "it is on: a, b"),
        ("zzz", "there is no check 'zzz'", "see: watchkeeper check list"),
    ],
)
def test_a_name_that_means_nothing_or_too_much_is_an_error(text: str, told: str, hint: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        naming.matching(KEYS, text, "check")
    assert hint in caught.value.hint


def test_one_key_is_asked_for_by_its_host() -> None:
    assert naming.one(KEYS, "web@a", "check") == "shop/checks/web@a"
    with pytest.raises(InputError, match="on several hosts"):
        naming.one(KEYS, "web", "check")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("web11", "did you mean 'web1'?"), ("zzz", "there are: db, web1"), (None, ""), ("db", "")],
)
def test_a_host_or_service_that_is_not_there_is_no_empty_list(name: str | None, hint: str) -> None:
    if not hint:
        naming.known(name, ("web1", "db"), "host")
        return
    with pytest.raises(InputError, match=f"there is no host '{name}'") as caught:
        naming.known(name, ("web1", "db"), "host")
    assert caught.value.hint == hint
