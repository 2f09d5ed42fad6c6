"""The part of docs/exchange.md that is made from the declarations."""

from core.exchange.columns import COLUMNS


def columns_table() -> list[str]:
    """Return the table of the columns of each kind, those that imports set in bold, as lines of Markdown."""
    lines = ["| kind | columns |", "|---|---|"]
    for kind, columns in COLUMNS.items():
        names = (f"**{column.name}**" if column.writable else column.name for column in columns)
        lines.append(f"| {kind} | {', '.join(names)} |")
    return lines
