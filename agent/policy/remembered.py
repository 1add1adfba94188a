"""Documents as they were last read: of thousands of files an edit changes few, and only these are parsed again."""

from collections.abc import Collection

from agent.policy.catalogue import Catalogue
from agent.policy.reading import Document, document


class Remembered:
    """Reads documents for one catalogue; a file with the same bytes as the last time is not read again."""

    def __init__(self, known: Catalogue) -> None:
        self._known = known
        self._last: dict[str, Document] = {}

    def document(self, file: str, data: bytes) -> Document:
        """The document of a file's bytes; whatever is wrong stands in its problems."""
        last = self._last.get(file)
        if last is None or last.data != data:
            last = self._last[file] = document(file, data, self._known)
        return last

    def forget_others(self, files: Collection[str]) -> None:
        """Keep these alone."""
        for file in [file for file in self._last if file not in files]:
            del self._last[file]
