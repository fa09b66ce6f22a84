"""How a service parts its answer into pages, and where the next one is."""

from abc import abstractmethod
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, Field

from mlops_assets.errors import SourceError


def at_path(body: Any, path: str) -> Any:
    """Give what stands at a dotted path of a JSON answer.

    Raises:
        SourceError: There is nothing.

    >>> at_path({"meta": {"next": "b"}}, "meta.next")
    'b'
    """
    found = body
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            there = ", ".join(found) if isinstance(found, dict) else f"a {type(found).__name__}"
            raise SourceError(
                f"the answer has nothing at {path!r}: where {name!r} should be there is {there or 'nothing'}"
            )
        found = found[name]
    return found


class Pages(BaseModel, frozen=True, extra="forbid"):
    """One way of paging."""

    def begin(self, url: httpx.URL) -> httpx.URL:
        """Give the address of the first page."""
        return url

    @abstractmethod
    def following(self, url: httpx.URL, response: httpx.Response, body: Any, records: int) -> httpx.URL | None:
        """Give the address of the page behind the one at `url`; None behind the last."""


class NumberedPages(Pages, frozen=True, extra="forbid"):
    """Pages by number, up to the first that is empty."""

    kind: Literal["number"] = "number"
    parameter: str = Field("page", description="The query parameter that holds the number.")
    first: int = Field(1, description="The number of the first page.")

    def begin(self, url: httpx.URL) -> httpx.URL:
        """Ask for the first number."""
        return url.copy_set_param(self.parameter, self.first)

    def following(self, url: httpx.URL, response: httpx.Response, body: Any, records: int) -> httpx.URL | None:
        """Count on."""
        return url.copy_set_param(self.parameter, int(url.params[self.parameter]) + 1) if records else None


class CursorPages(Pages, frozen=True, extra="forbid"):
    """Each answer holds the cursor of the next page; null, empty or missing at the end."""

    kind: Literal["cursor"] = "cursor"
    parameter: str = Field("cursor", description="The query parameter that takes the cursor.")
    next: str = Field(description="Where the cursor stands in the answer, such as meta.next_cursor.")

    def following(self, url: httpx.URL, response: httpx.Response, body: Any, records: int) -> httpx.URL | None:
        """Hand the cursor back."""
        cursor = _there(body, self.next)
        return url.copy_set_param(self.parameter, cursor) if cursor else None


class NextUrlPages(Pages, frozen=True, extra="forbid"):
    """Each answer holds the address of the next page; null, empty or missing at the end."""

    kind: Literal["next_url"] = "next_url"
    next: str = Field(description="Where the address stands in the answer, such as links.next.")

    def following(self, url: httpx.URL, response: httpx.Response, body: Any, records: int) -> httpx.URL | None:
        """Go where the answer points."""
        address = _there(body, self.next)
        return url.join(str(address)) if address else None


class LinkedPages(Pages, frozen=True, extra="forbid"):
    """The header `Link` of each answer holds the address of the next page (RFC 8288, rel="next")."""

    kind: Literal["link"] = "link"

    def following(self, url: httpx.URL, response: httpx.Response, body: Any, records: int) -> httpx.URL | None:
        """Go where the header points."""
        address = response.links.get("next", {}).get("url")
        return url.join(address) if address else None


AnyPages = Annotated[NumberedPages | CursorPages | NextUrlPages | LinkedPages, Field(discriminator="kind")]


def _there(body: Any, path: str) -> Any:
    try:
        return at_path(body, path)
    except SourceError:
        return None  # services leave it out behind the last page
