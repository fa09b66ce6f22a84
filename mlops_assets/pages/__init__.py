"""Pages for people: one look, drawn in SVG and CSS; they need no script, no other file and no network.

Pure functions of numbers and words. What a page says is the business of the room that knows it.
"""

from mlops_assets.pages.charts import Axis, Line, Mark, Tone, chart
from mlops_assets.pages.document import document, picture
from mlops_assets.pages.pieces import bar, figures, panel, shade, spread, table

__all__ = [
    "Axis",
    "Line",
    "Mark",
    "Tone",
    "bar",
    "chart",
    "document",
    "figures",
    "panel",
    "picture",
    "shade",
    "spread",
    "table",
]
