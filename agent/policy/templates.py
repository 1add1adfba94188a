"""`{{ … }}` over a host's inventory variables: sandboxed, strict, and nothing else of the template language."""

import functools
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.sandbox

from agent.closed import Plain
from agent.policy import wording

_LONGEST = 100_000  # characters of one rendered text
# Statements and comments are switched off by delimiters that no text can hold: a file with a NUL is refused.
_OFF = {
    "block_start_string": "{\0%",
    "block_end_string": "%\0}",
    "comment_start_string": "{\0#",
    "comment_end_string": "#\0}",
}


class TemplateFault(ValueError):  # noqa: N818  # a ValueError that says what is wrong, as the others of the loader
    """A template that cannot be rendered for a host."""


def is_template(node: object) -> bool:
    """Whether a value holds `{{` anywhere."""
    if isinstance(node, str):
        return "{{" in node
    if isinstance(node, Mapping):
        return any(is_template(inner) for inner in node.values())
    return isinstance(node, list | tuple) and any(is_template(inner) for inner in node)


def rendered(node: Any, variables: Mapping[str, Any]) -> Any:
    """The value with its templates filled in; TemplateFault when one cannot be."""
    if isinstance(node, str):
        return _text(node, variables) if "{{" in node else node
    if isinstance(node, Mapping):
        return {name: rendered(inner, variables) for name, inner in node.items()}
    if isinstance(node, list | tuple):
        return [rendered(inner, variables) for inner in node]
    return node


def mistake(node: object) -> str | None:
    """What is wrong with the templates of a value before any host is known, or None."""
    try:
        if isinstance(node, str):
            if "{{" in node:
                _compiled(node)
        elif isinstance(node, Mapping | list | tuple):
            for inner in node.values() if isinstance(node, Mapping) else node:
                wrong = mistake(inner)
                if wrong:
                    return wrong
    except TemplateFault as error:
        return str(error)
    return None


def _text(text: str, variables: Mapping[str, Any]) -> str:
    try:
        filled = _compiled(text).render(variables)
    except jinja2.UndefinedError as error:
        raise TemplateFault(f"{wording.quoted(text)}: {_undefined(str(error), variables)}") from error
    except jinja2.TemplateError as error:
        raise TemplateFault(f"{wording.quoted(text)}: {error}") from error
    except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise TemplateFault(f"{wording.quoted(text)}: {type(error).__name__}: {error}") from error
    if len(filled) > _LONGEST or "\0" in filled:
        raise TemplateFault(f"{wording.quoted(text)} gives more than {_LONGEST:,} characters, or a NUL")
    return filled if not isinstance(text, Plain) else str(filled)


def _undefined(message: str, variables: Mapping[str, Any]) -> str:
    name = message.split("'")[1] if message.count("'") >= 2 else ""
    return message + (wording.meant(name, variables) if message.endswith("is undefined") else "")


@functools.cache
def _environment() -> jinja2.sandbox.ImmutableSandboxedEnvironment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True, **_OFF
    )
    environment.globals.clear()  # no range, no cycler: only what the inventory says
    return environment


@functools.lru_cache(maxsize=4096)
def _compiled(text: str) -> jinja2.Template:
    try:
        return _environment().from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateFault(f"{wording.quoted(text)}: {error.message}") from error
