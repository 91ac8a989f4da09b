"""Draws what a program wrote to the terminal as an SVG: `picture.py PICTURE TITLE < OUTPUT`.

`make picture` gives it the output of a real `make demo`. The picture needs nothing from outside: the font is whatever
monospaced one the reader has, so the lines are held to their width by the picture itself.
"""

import re
import sys
from io import StringIO

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 110
THEME = TerminalTheme(
    (22, 36, 63),
    (222, 228, 238),
    [
        (40, 52, 80),
        (240, 113, 120),
        (127, 227, 212),
        (245, 154, 35),
        (130, 170, 255),
        (255, 201, 121),
        (127, 227, 212),
        (222, 228, 238),
    ],
)
# What tells how it goes is set apart from what only describes.
STYLES = [
    (r"make \S+.*", "bold"),
    (r"Nothing was lost\.", "bold green"),
    (r"\d[\d,]* was lost.*|.* lost, .*", "bold red"),
    (r"objects \S+ ·.*", "green"),
    (r"trouble: .*", "yellow"),
    (r"(trigger|connector), (warning|error): .*", "magenta"),
]


def main() -> None:
    picture, title = sys.argv[1:]
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    for line in sys.stdin.read().rstrip().splitlines():
        text = Text.from_ansi(line.rsplit("\r\x1b[2K", 1)[-1])
        for pattern, style in STYLES:
            text.highlight_regex(pattern, style)
        console.print(text, overflow="ellipsis", no_wrap=True)
    svg = console.export_svg(title=title, theme=THEME, unique_id="demo", font_aspect_ratio=0.6)
    # The fonts would be fetched from a server of others.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")
    with open(picture, "w", encoding="utf-8") as file:
        file.write(re.sub(r"[ \t]+\n", "\n", svg))


main()
