"""The frame and the look that all pages share, light or dark as the reader has it, and fit to be printed."""

from html import escape
from typing import Final

from mlops_assets.pages.charts import HEIGHT, WIDTH

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2430; --dim: #667085; --line: #e3e6eb; --paper: #fff; --panel: #f7f8fa;
  --good: #2f7d5b; --held: #c77700; --bad: #c0362c; --stopped: #d9a39e; --first: #2563c9; --second: #8a919e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #333a46; --paper: #14181f;
  --panel: #1c222c; --good: #58b38a; --held: #e5a13a; --bad: #f0756b; --stopped: #7c4640; --first: #6ea0f5;
  --second: #7d8594; } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1040px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 24px; line-height: 1.3; margin: 0 }  h2 { font-size: 17px; margin: 36px 0 8px }
h3 { font-size: 15px; margin: 0 0 4px }
p { margin: 6px 0 } .dim { color: var(--dim) }
.verdict { display: inline-block; padding: 2px 10px; border-radius: 12px; font-weight: 600; color: var(--paper) }
.verdict.passed { background: var(--good) } .verdict.blocked { background: var(--bad) }
.verdict.warned, .verdict.part { background: var(--held) }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0 }
dl div { background: var(--panel); border-radius: 8px; padding: 10px 14px }
dt { color: var(--dim); font-size: 13px } dd { margin: 0; font-size: 22px; font-variant-numeric: tabular-nums }
dd small { display: block; font-size: 13px; color: var(--dim) }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--dim); vertical-align: bottom }
th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line) } td { vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } th.number { text-align: right }
td.found { white-space: normal; max-width: 170px; overflow-wrap: anywhere }
td small { display: block; color: var(--dim); font-size: 13px }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.met, .failed, .warns { white-space: nowrap }
.failed { color: var(--bad); font-weight: 600 } .warns { color: var(--held); font-weight: 600 }
.met { color: var(--good) } .why { display: block; color: var(--dim); font-size: 13px }
svg { display: block; overflow: visible } polyline { fill: none; stroke: var(--dim); stroke-width: 1.2 }
.dot { fill: var(--ink) } .bad { fill: var(--bad) } .ground { fill: var(--panel) } .good { fill: var(--good) }
.held { fill: var(--held) } .stopped { fill: var(--stopped) }
a { color: var(--first) } a:hover .ground { fill: var(--line) }
.scroll { overflow-x: auto; --shadow: color-mix(in srgb, var(--ink) 28%, transparent);
  background: linear-gradient(to right, var(--paper) 40%, transparent) left / 36px 100% no-repeat local,
    linear-gradient(to left, var(--paper) 40%, transparent) right / 36px 100% no-repeat local,
    linear-gradient(to right, var(--shadow), transparent) left / 10px 100% no-repeat,
    linear-gradient(to left, var(--shadow), transparent) right / 10px 100% no-repeat }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; margin: 0 5px 0 14px; border-radius: 2px;
  background: var(--tone) }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 28px 36px;
  margin: 12px 0 }
figure { margin: 0; break-inside: avoid } figcaption { color: var(--dim); font-size: 13px }
.chart { width: 100%; height: auto; max-width: 520px }
.chart text { fill: var(--dim); font-size: 13px } .chart .grid { stroke: var(--line) }
.chart .named { font-weight: 600 } .chart polyline { stroke-width: 2; stroke-linejoin: round }
.chart .first { stroke: var(--first); fill: var(--first) } .chart .second { stroke: var(--second); fill: var(--second) }
.chart .faint { stroke: var(--second); fill: var(--second); stroke-dasharray: 3 4 } .chart .held { stroke: var(--held) }
.chart polyline.first, .chart polyline.second, .chart polyline.faint { fill: none }
.chart polygon { opacity: .16; stroke: none !important } .chart text { stroke: none !important }
.chart text.first { fill: var(--first) } .chart text.second, .chart text.faint { fill: var(--dim) }
.bar { display: block; height: 10px; border-radius: 2px; background: var(--first); min-width: 2px; margin-top: 7px }
.spread { position: relative; display: block; height: 12px; min-width: 110px; margin: 6px 8px 0 }
.spread i { position: absolute } .spread .zero { top: -6px; bottom: -6px; width: 1px; background: var(--dim) }
.spread .reach { top: 5px; height: 2px; background: var(--tone) }
.spread .at { top: 1px; width: 10px; height: 10px; margin-left: -5px; border-radius: 50%; background: var(--tone) }
td:has(> .bar), td:has(> .spread) { width: 45% }
.shade { display: block; padding: 4px 8px; border-radius: 4px;
  background: color-mix(in srgb, var(--first) calc(var(--share) * .55), transparent) }
.scroll + h3, .scroll + .scroll, .scroll + .pair, ul + h3 { margin-top: 20px }
details { margin-top: 24px } details.near { margin-top: 6px } summary { cursor: pointer; font-weight: 600 }
details.near summary { font-weight: 400; color: var(--dim) }
ul { margin: 6px 0; padding-left: 20px } li { margin: 4px 0 }
@media (max-width: 560px) { body { padding: 20px 16px 48px } h1 { font-size: 20px } dd { font-size: 19px }
  dl { grid-template-columns: 1fr 1fr } .chart text { font-size: 14px }
  th, td { padding-right: 8px } th { font-size: 12px } td { font-size: 14px } td small { font-size: 12px }
  td.number small { white-space: normal } td:first-child { min-width: 104px }
  td:has(> .bar), td:has(> .spread) { width: 30% } .spread { min-width: 84px; margin: 6px 0 0 4px } }
@media print { body { max-width: none; padding: 0; font-size: 12px } h2 { break-after: avoid }
  details::details-content { content-visibility: visible; display: block }
  tr { break-inside: avoid } * { -webkit-print-color-adjust: exact; print-color-adjust: exact } }
"""


def document(title: str, body: str) -> str:
    """Give a whole page of `body`, which is HTML already; `title` is text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def picture(drawn: str) -> bytes:
    """Give what `chart` drew as an SVG file of its own, with the look inside it.

    It has a size, for a viewer that asks for one would draw it with none.
    """
    size = f'<svg width="{WIDTH * 1.5:.0f}" height="{HEIGHT * 1.5:.0f}" '
    head, _, rest = drawn.replace("<svg ", size, 1).partition(">")
    look = f"<style>{STYLE} svg {{ width: auto; background: var(--paper); font-family: system-ui, sans-serif }}</style>"
    return f"{head}>{look}{rest}".encode()
