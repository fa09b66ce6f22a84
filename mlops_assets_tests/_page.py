"""Reads a page as a browser would, to see that it is whole and asks for nothing from outside."""

import re
from html.parser import HTMLParser


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "embed") or "src" in dict(attrs):
            self.fetched.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def assert_whole(text: str) -> None:
    """Fail unless every tag is closed and nothing would be fetched; links that people may follow are none."""
    reader = _Reader()
    reader.feed(text)
    assert (reader.fetched, reader.open) == ([], [])
    assert not re.search(r"@import|url\(", text)
