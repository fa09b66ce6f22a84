"""Where raw rows come from; one file per kind of source.

To add a kind, write its file (a `SourceModel` with a `kind` of its own and a `stream`, see `Source.pieces`) and add it
to `AnySource`: the YAML and the family's shared test pick it up from there.
"""

from typing import Annotated, get_args

from pydantic import Field

from mlops_assets.sources.events import EventSource
from mlops_assets.sources.files import FileSource
from mlops_assets.sources.http import HttpSource
from mlops_assets.sources.source import Source, SourceModel
from mlops_assets.sources.sql import SqlSource
from mlops_assets.sources.staging import Batch, Stage

AnySource = Annotated[
    EventSource | FileSource | HttpSource | SqlSource,  # a new kind joins here
    Field(discriminator="kind"),
]
SOURCES: dict[str, type[SourceModel]] = {
    source.model_fields["kind"].default: source for source in get_args(get_args(AnySource)[0])
}

__all__ = [
    "SOURCES",
    "AnySource",
    "Batch",
    "EventSource",
    "FileSource",
    "HttpSource",
    "Source",
    "SourceModel",
    "SqlSource",
    "Stage",
]
