"""Report of a run: a Markdown table with medians, minima and maxima, JSON with every figure, and a chart as SVG."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

COLUMNS = ("reference", "jupyverse", "jupyterd", "relay")
CHART = {
    "GET /api/kernels: CPU, µs": "GET /api/kernels, CPU",
    "list 2,000 entries: CPU, ms": "List 2,000 files, CPU",
    "put a notebook of 5 kB, edited each time: CPU, ms": "Save a notebook, CPU",
    "get a notebook of 10 MB: CPU, ms": "Open 10 MB, CPU",
    "execute round trip, v1: CPU, ms": "Run a cell, CPU",
    "flood, v1, a message: CPU, µs": "A message of a flood, CPU",
    "20 tabs, v1, a delivery: CPU, µs": "A message to each of 20 tabs, CPU",
    "start to first answer, s": "Start to first answer",
    "memory a second later (PSS), MB": "Memory after the start",
}
"""Rows that the chart shows, where they were measured."""


def machine() -> dict[str, str]:
    """The machine that measured: processor, cores, memory, system, Python, load."""
    cpu, memory = platform.processor() or platform.machine(), ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 1e6:.0f} GB"
    return {
        "processor": cpu,
        "cores": str(os.cpu_count()),
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


@dataclass
class Results:
    """All figures of a run: ``rows[what][column]`` are one row's figures of one contender, one for each repeat."""

    rows: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=machine)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, column: str, figures: dict[str, float]) -> None:
        """Take what one run of one case gave."""
        for what, figure in figures.items():
            self.rows.setdefault(what, {}).setdefault(column, []).append(figure)

    def columns(self) -> list[str]:
        """Contenders that have a figure, in the order of the table; others behind them."""
        found = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        return [name for name in COLUMNS if name in found] + [name for name in found if name not in COLUMNS]

    def ratio(self, what: str) -> float | None:
        """How many times better jupyterd is than the reference; what is "a second" is better when more."""
        row = self.rows.get(what, {})
        if "jupyterd" not in row or "reference" not in row:
            return None
        ours, theirs = statistics.median(row["jupyterd"]), statistics.median(row["reference"])
        if not ours or not theirs:
            return None
        return ours / theirs if what.endswith("a second") else theirs / ours

    def markdown(self) -> str:
        """A table: median, and the smallest and largest where there are several."""
        columns = self.columns()
        lines = ["| " + " | ".join(["what", *columns, "times better"]) + " |"]
        lines.append("| --- |" + " ---: |" * (len(columns) + 1))
        for what, row in self.rows.items():
            ratio = self.ratio(what)
            cells = [_cell(row.get(column)) for column in columns]
            lines.append("| " + " | ".join([what, *cells, "-" if ratio is None else f"{ratio:.2f}"]) + " |")
        return "\n".join(lines)

    def about(self) -> str:
        """The machine and the versions, as a list."""
        lines = [f"- {name}: {value}" for name, value in self.machine.items()]
        for name, found in self.versions.items():
            lines.append(f"- {name}: " + ", ".join(f"{what} {version}" for what, version in found.items()))
        return "\n".join(lines)

    def json(self) -> str:
        """Everything, for programs."""
        whole: dict[str, Any] = {"machine": self.machine, "versions": self.versions, "rows": self.rows}
        return json.dumps(whole, indent=1, ensure_ascii=False)

    def chart(self) -> str:
        """Bars: how many times better than the reference. An SVG that follows the reader's light or dark theme."""
        bars = [(label, ratio) for what, label in CHART.items() if (ratio := self.ratio(what)) is not None]
        return draw(bars)


def read(path: Path) -> Results:
    """Results that :meth:`Results.json` has written."""
    return Results(**json.loads(path.read_text()))


def _number(figure: float) -> str:
    return f"{figure:,.3g}" if abs(figure) < 1000 else f"{figure:,.0f}"


def _cell(figures: list[float] | None) -> str:
    if not figures:
        return "-"
    middle = _number(statistics.median(figures))
    return middle if len(figures) == 1 else f"{middle} ({_number(min(figures))} to {_number(max(figures))})"


STYLE = """
text { font: 14px system-ui, sans-serif; fill: #24292f } .n { font-weight: 600 } .b { fill: #e46e2e }
.g { stroke: #d0d7de }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .b { fill: #f0883e } .g { stroke: #30363d } }
"""


def draw(bars: list[tuple[str, float]]) -> str:
    """Horizontal bars on a logarithmic scale, with their figures."""
    from math import log10

    left, wide, tall = 270, 400, 28
    most = max([ratio for _, ratio in bars], default=1.0)
    scale = wide / max(log10(most), 0.3)
    height = tall * len(bars) + 46
    title = "Times less than jupyter server (logarithmic)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 110} {height}" role="img">',
        f"<title>{title}</title><style>{STYLE}</style>",
        f'<text x="0" y="18" class="n">{title}</text>',
        f'<line class="g" x1="{left}" y1="32" x2="{left}" y2="{height - 8}"/>',
    ]
    for number, (label, ratio) in enumerate(bars):
        top = 36 + tall * number
        length = max(2.0, scale * log10(max(ratio, 1.0)))
        parts.append(f'<text x="{left - 10}" y="{top + 16}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect class="b" x="{left}" y="{top + 3}" width="{length:.1f}" height="{tall - 10}" rx="3"/>')
        parts.append(f'<text x="{left + length + 8:.1f}" y="{top + 16}" class="n">{ratio:.3g} times</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
