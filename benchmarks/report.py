"""The results as text, as JSON, and as one page with plots that needs nothing else."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.ratios import ratio
from benchmarks.runner import Figures, Results
from benchmarks.scenarios import Scenario
from benchmarks.startup import Startup

__all__ = ["Report", "plot"]

RAW = "raw RSGI"
FASTAPI = "FastAPI, Granian ASGI"
# Processor time is what a busy machine changes least: the order, the plots and the overview go by it.
_COLUMNS = (
    "µs each",
    "× raw",
    "× FastAPI",
    "rate/s",
    "rate × raw",
    "× FastAPI",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "idle MiB",
    "loaded MiB",
)
_MIB = 1024 * 1024


@dataclass
class Report:
    """Everything that one run has to say.

    Args:
        results: What the scenarios gave.
        scenarios: In the order of the tables.
        startup: What came before the requests, by framework; `None` when it was not measured.
        facts: About the run: when, where, how, and the versions.
    """

    results: Results
    scenarios: list[Scenario]
    startup: dict[str, Startup] | None
    facts: dict[str, str]

    def text(self) -> str:
        """Return tables for a terminal."""
        parts = ["\n".join(f"{name}: {value}" for name, value in self.facts.items())]
        parts += [self._scenario_text(scenario) for scenario in self.scenarios]
        if self.startup:
            parts.append(_startup_text(self.startup))
        return "\n\n".join(parts)

    def _scenario_text(self, scenario: Scenario) -> str:
        rows = self._rows(scenario)
        width = max([len(name) for name, _ in rows] + [24])
        lines = [f"{scenario.title} ({scenario.name}, {scenario.unit})"]
        lines.append(" " * width + "".join(f"{column:>18}" for column in _COLUMNS))
        lines += [name.ljust(width) + "".join(f"{cell:>18}" for cell in cells) for name, cells in rows]
        lines += [f"not timed: {name}: {why}" for name, why in self.results.notes.get(scenario.name, {}).items()]
        return "\n".join(lines)

    def _rows(self, scenario: Scenario) -> list[tuple[str, list[str]]]:
        """Return the peers' cells, those that take the least processor time first."""
        figures = self.results.figures.get(scenario.name, {})
        raw, fastapi = figures.get(RAW), figures.get(FASTAPI)
        ordered = sorted(figures.items(), key=lambda item: item[1].processor)
        return [(name, _cells(figure, raw, fastapi)) for name, figure in ordered]

    def data(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "facts": self.facts,
            "scenarios": {
                name: {peer: asdict(figure) for peer, figure in figures.items()}
                for name, figures in self.results.figures.items()
            },
            "notes": self.results.notes,
            "startup": {name: asdict(figure) for name, figure in (self.startup or {}).items()},
        }

    def page(self) -> str:
        """Return the HTML page."""
        facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in self.facts.items())
        sections = "".join(self._section(scenario) for scenario in self.scenarios)
        startup = ""
        if self.startup:
            text = _text(_startup_text(self.startup))
            startup = f'<section><h2>Start-up</h2><pre class="wide" tabindex="0">{text}</pre></section>'
        return _PAGE.format(facts=f"<dl>{facts}</dl>", overview=self._overview(), sections=sections + startup)

    def _overview(self) -> str:
        """Return a table of everyone's speed in every scenario, by processor time, beside raw RSGI."""
        peers = list(dict.fromkeys(peer for figures in self.results.figures.values() for peer in figures))
        head = "".join(f'<th scope="col">{_text(peer)}</th>' for peer in peers)
        rows = []
        for scenario in self.scenarios:
            figures = self.results.figures.get(scenario.name, {})
            raw = figures.get(RAW)
            cells = "".join(
                f"<td>{ratio(raw.turns, figures[peer].turns) if raw and peer in figures else '-'}</td>"
                for peer in peers
            )
            rows.append(f'<tr><th scope="row"><a href="#{scenario.name}">{_text(scenario.title)}</a></th>{cells}</tr>')
        return _table("Overview", f'<tr><th scope="col">speed × raw RSGI</th>{head}</tr>{"".join(rows)}')

    def _section(self, scenario: Scenario) -> str:
        figures = self.results.figures.get(scenario.name, {})
        head = "".join(f'<th scope="col">{column}</th>' for column in _COLUMNS)
        rows = "".join(
            f"<tr><th scope='row'>{_text(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
            for name, cells in self._rows(scenario)
        )
        notes = "".join(
            f"<p>Not timed: {_text(name)}: {_text(why)}</p>"
            for name, why in self.results.notes.get(scenario.name, {}).items()
        )
        return (
            f'<section id="{scenario.name}"><h2>{_text(scenario.title)}</h2>{_bars(figures, scenario.unit)}'
            f"{_table(scenario.title, f'<tr><td></td>{head}</tr>{rows}')}{notes}</section>"
        )


def _table(title: str, rows: str) -> str:
    """Return a table that scrolls by itself where it is wider than the page, by keyboard too."""
    return f'<div class="wide" tabindex="0" role="group" aria-label="{_text(title)}"><table>{rows}</table></div>'


def _cells(figure: Figures, raw: Figures | None, fastapi: Figures | None) -> list[str]:
    return [
        f"{figure.processor * 1e6:,.1f}",
        # The lesser the better: the ratio of the speeds that it stands for.
        str(ratio(raw.turns, figure.turns)) if raw else "-",
        str(ratio(fastapi.turns, figure.turns)) if fastapi else "-",
        f"{figure.rate:,.0f}",
        _ratio(figure.rate, raw.rate if raw else None),
        _ratio(figure.rate, fastapi.rate if fastapi else None),
        f"{figure.p50 * 1e3:,.2f}",
        f"{figure.p99 * 1e3:,.2f}",
        f"{figure.p999 * 1e3:,.2f}",
        f"{figure.idle / _MIB:,.0f}",
        f"{figure.loaded / _MIB:,.0f}",
    ]


def _ratio(value: float | None, of: float | None) -> str:
    return f"{value / of:.2f}" if value and of else "-"


def _startup_text(startup: dict[str, Startup]) -> str:
    ours, theirs = startup["velithon"], startup["fastapi"]
    rows = [
        ("import, ms of processor time", ours.imported * 1e3, theirs.imported * 1e3),
        ("import, application, first route, ms", ours.started * 1e3, theirs.started * 1e3),
        ("registration of typed routes, ms", ours.registered * 1e3, theirs.registered * 1e3),
        ("idle worker on Granian, MiB", ours.idle / _MIB, theirs.idle / _MIB),
        ("first request, ms", ours.first * 1e3, theirs.first * 1e3),
        ("hundredth request, ms", ours.hundredth * 1e3, theirs.hundredth * 1e3),
    ]
    lines = [f"{'Start-up':<38}{'Velithon':>10}{'FastAPI':>10}{'ratio':>8}"]
    lines += [f"{name:<38}{mine:>10.2f}{other:>10.2f}{mine / other:>8.2f}" for name, mine, other in rows]
    return "\n".join(lines)


def _bars(figures: dict[str, Figures], unit: str) -> str:
    """Return a bar for each peer's processor time as SVG, with a line from its least to its most expensive turn."""
    if not figures:
        return ""
    ordered = sorted(figures.items(), key=lambda item: item[1].processor)
    # The slowest are cut off where they would leave nothing to see of the others.
    most = min(ordered[-1][1].processor, ordered[0][1].processor * 20)
    left, width, step = 190, 430, 22
    parts = []
    for index, (name, figure) in enumerate(ordered):
        y = index * step
        bar = min(figure.processor / most, 1) * width
        turns = [min(turn / most, 1) * width + left for turn in (min(figure.turns), max(figure.turns))]
        kind = "ours" if name.startswith("Velithon") else "raw" if name == RAW else "peer"
        parts.append(
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{_text(name)}</text>'
            f'<rect class="{kind}" x="{left}" y="{y + 3}" width="{bar:.1f}" height="16"/>'
            f'<line x1="{turns[0]:.1f}" x2="{turns[1]:.1f}" y1="{y + 11}" y2="{y + 11}"/>'
            f'<text x="{max(left + bar, turns[1]) + 6:.1f}" y="{y + 15}">{figure.processor * 1e6:,.1f}</text>'
        )
    height = len(figures) * step
    label = f"microseconds of processor time for each of the {_text(unit)}; less is better"
    return f'<svg viewBox="0 0 720 {height}" role="img" aria-label="{label}">{"".join(parts)}</svg><p>{label}</p>'


def plot(scenario: Scenario, figures: dict[str, Figures]) -> str:
    """Return the bars of one scenario as an SVG file, in colours that both themes of the site can show."""
    drawing = _bars(figures, scenario.unit).partition("</svg>")[0]
    head, _, rest = drawing.partition(">")
    style = (
        "<style>text { fill: #808080; font: 12px system-ui, sans-serif; } line { stroke: #808080; stroke-width: 2; } "
        ".ours { fill: #2563eb; } .raw { fill: #64748b; } .peer { fill: #d97706; }</style>"
    )
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return f"{head}><title>{_text(scenario.title)}</title>{style}{rest}</svg>\n"


def _text(value: str) -> str:
    return html.escape(value)


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Velithon's benchmarks</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; --ours: #2563eb; --raw: #64748b; --peer: #d97706; }}
body {{ background: light-dark(#fff, #15181c); color: light-dark(#1b1f24, #e6e9ed); }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
section {{ margin-top: 2.5rem; }}
.wide {{ overflow-x: auto; }}
a {{ color: light-dark(#0b57d0, #8ab4f8); }}
table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ border-bottom: 1px solid #8884; padding: .2rem .6rem; text-align: right; white-space: nowrap; }}
th:first-child {{ text-align: left; }}
dl {{ display: grid; gap: 0 1rem; grid-template-columns: max-content 1fr; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
svg {{ max-width: 45rem; width: 100%; }}
svg text {{ fill: currentColor; font-size: 12px; }}
svg line {{ stroke: currentColor; stroke-width: 2; }}
.ours {{ fill: var(--ours); }} .raw {{ fill: var(--raw); }} .peer {{ fill: var(--peer); }}
</style>
<main>
<h1>Velithon's benchmarks</h1>
{facts}
{overview}
{sections}
</main>
</html>
"""
