"""Count what came of all images, and write the page of what differs."""

from collections import Counter
from html import escape
from typing import Any

from bench.comparison.compared import CRASHED, DIFFERS, REFUSED, STATUSES, Compared

MAX_SHOWN = 300  # Rows of a section of the page.


def count(all_compared: list[Compared]) -> dict[str, Any]:
    """Count images by status and kind, and those refused by code."""
    statuses = Counter(compared.status for compared in all_compared)
    kinds = sorted({compared.kind or "unknown" for compared in all_compared})
    codes = Counter(compared.code for compared in all_compared if compared.status == REFUSED)
    by_kind = Counter((compared.kind or "unknown", compared.status) for compared in all_compared)
    return {
        "files": len(all_compared),
        "statuses": {status: statuses[status] for status in STATUSES},
        "refused": dict(codes.most_common()),
        "kinds": {kind: [by_kind[kind, status] for status in STATUSES] for kind in kinds},
    }


def format_table(counts: dict[str, Any]) -> str:
    """Return the counts as Markdown."""
    lines = [f"| format | files | {' | '.join(STATUSES)} |", "|---" * (len(STATUSES) + 2) + "|"]
    rows = [*counts["kinds"].items(), ("all", list(counts["statuses"].values()))]
    for kind, row in rows:
        lines.append(f"| {kind} | {sum(row)} | {' | '.join(map(str, row))} |")
    codes = ", ".join(f"{code} {number}" for code, number in counts["refused"].items())
    return "\n".join([*lines, "", f"Refused by us, opened by a peer: {codes or 'none'}"])


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Our pictures beside those of others</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }}
article {{ border-top: 1px solid #ccc; padding: 1rem 0; }}
h3 {{ font-size: 1rem; margin: 0; overflow-wrap: anywhere; }}
p {{ margin: 0.25rem 0 0.75rem; }}
div {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; }}
img {{ background: repeating-conic-gradient(#ccc 0 25%, #fff 0 50%) 0 / 16px 16px; }}
pre {{ overflow-x: auto; }}
</style>
<h1>Our pictures beside those of others</h1>
<pre>{table}</pre>
{sections}
</html>
"""


def format_page(all_compared: list[Compared], table: str) -> str:
    """Return the page: what differs, the worst first."""
    sections = []
    for status in (CRASHED, DIFFERS, REFUSED):
        rows = [compared for compared in all_compared if compared.status == status]
        rows.sort(key=lambda compared: (compared.code, -compared.difference, compared.file))
        shown = "\n".join(format_row(compared) for compared in rows[:MAX_SHOWN])
        rest = f", of which {MAX_SHOWN} are shown" if len(rows) > MAX_SHOWN else ""
        sections.append(f"<h2>{status.capitalize()}: {len(rows)}{rest}</h2>\n{shown}")
    return _PAGE.format(table=escape(table), sections="\n".join(sections))


def format_row(compared: Compared) -> str:
    """Return the pictures of one image."""
    facts = [
        f"{name}: {value:.1f}" for name, value in compared.differences.items() if value is not None
    ]
    if compared.code:
        facts = [f"{compared.code}: {compared.message}"]
    facts += [f"{name}: {error}" for name, error in compared.errors.items()]
    figures = "".join(
        f'<figure><img src="pictures/{escape(path)}" alt="" loading="lazy">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, path in sorted(compared.pictures.items(), key=lambda pair: pair[0] != "ours")
    )
    return (
        f"<article><h3>{escape(compared.file)}</h3><p>{escape(' · '.join(facts))}</p>"
        f"<div>{figures}</div></article>"
    )
