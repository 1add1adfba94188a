"""Values stay what they are, and names that steer Ansible are refused."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.actions import play_variables

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Loader(yaml.SafeLoader):
    """Reads `!unsafe` as Ansible does."""


def unsafe(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("!unsafe", unsafe)


@given(st.dictionaries(st.text(min_size=1), PLAIN, max_size=4))
@settings(max_examples=150)
def test_what_is_written_is_read_back_the_same_and_is_unsafe_as_a_whole(variables: dict[str, Any]) -> None:
    written = play_variables.as_yaml(variables)
    read = yaml.load(written, Loader)  # noqa: S506  # a SafeLoader with one more tag
    assert getattr(yaml.compose(written, Loader), "tag", None) == "!unsafe"
    assert read == variables
    assert [type(each) for each in flat(read)] == [type(each) for each in flat(variables)]


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for inner in value.values() for each in flat(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in flat(inner)]
    return [value]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_is_no_plain_value_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no plain value"):
        play_variables.as_yaml({"x": value})


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="half a character"):
        play_variables.as_yaml({"x": "\ud800"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ansible_ssh_common_args", "begin with ansible_"),
        ("ansible_connection", "begin with ansible_"),
        ("ANSIBLE_HOST", "begin with ansible_"),
        ("inventory_hostname", "begin with inventory_"),
        ("role_path", "begin with role_"),
        ("group_names", "means something"),
        ("groups", "means something"),
        ("hostvars", "means something"),
        ("playbook_dir", "means something"),
        ("play_hosts", "means something"),
        ("omit", "means something"),
        ("vars", "means something"),
        ("environment", "means something"),
        ("become_user", "means something"),
        ("delegate_to", "means something"),
        ("lookup", "means something"),
        ("item", "means something"),
        ("not", "means something"),
        ("class", "means something"),
        ("a-b", "only letters"),
        ("1st", "only letters"),
        ("", "only letters"),
        ("a\n", "only letters"),
        ("größe", "only letters"),
        ("{{ x }}", "only letters"),
    ],
)
def test_a_name_that_means_something_to_ansible_is_refused_with_its_reason(name: str, reason: str) -> None:
    (told,) = play_variables.check_names({"service": "nginx", name: "x"})
    assert told.startswith(f"{name}: ")
    assert reason in told


def test_ordinary_names_pass() -> None:
    assert (
        play_variables.check_names(dict.fromkeys(["service", "unit", "_x", "paths2", "Unit", "ansible", "roles_of"]))
        == []
    )


def test_our_list_holds_all_that_this_ansible_reserves() -> None:
    """Asked in a child process: ansible-core is never imported into ours."""
    program = """
import json
from ansible import constants
from ansible._internal._templating import _jinja_bits
from ansible.vars.reserved import get_reserved_names
names = set(get_reserved_names()) | set(constants.INTERNAL_STATIC_VARS) | set(_jinja_bits.JINJA_KEYWORDS)
names |= {name for names in constants.MAGIC_VARIABLE_MAPPING.values() for name in names if name.startswith("ansible")}
names |= set(constants.COMMON_CONNECTION_VARS)
print(json.dumps(sorted(names)))
"""
    reserved = json.loads(subprocess.check_output([sys.executable, "-I", "-c", program]))
    assert len(reserved) > 100
    assert [name for name in reserved if not play_variables.check_names({name: ""})] == []


def test_texts_finds_every_text_at_any_depth() -> None:
    found = set(play_variables.texts({"a": ["x", {"b": 5, "c": None, "d": True}]}))
    assert found == {"a", "x", "b", "5", "c", "d"}
