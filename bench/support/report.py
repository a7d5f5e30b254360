"""report - results as a Markdown table, with machine and versions, in bench/results/, and as a plot where gnuplot is."""

import argparse
import datetime
import os
import pathlib
import shutil
import subprocess
import sys

import machine
import subjects

PROJECT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "bench/results"


def arguments(description, add=None):
    """The command line that all benchmarks have. `add` adds options to the parser."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true",
                        help="a few seconds: does it still run? Measures nothing and writes no results")
    parser.add_argument("--bin", metavar="DIRECTORY", default=os.environ.get("SRSD_BIN", str(PROJECT / "build/bin")),
                        help="the built programs (build/bin, where tests/run puts them)")
    if add:
        add(parser)
    parsed = parser.parse_args()
    os.environ["SRSD_BIN"] = str(pathlib.Path(parsed.bin).resolve())
    return parsed


def table(head, rows):
    """Lines of a Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + [
        "| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def write(name, lines, versions=subjects.versions):
    """Write bench/results/NAME.md and print it. `versions` gives lines that say which programs were measured."""
    now = datetime.datetime.now(datetime.timezone.utc)
    text = "\n".join([*lines, "", f"Measured {now:%Y-%m-%d %H:%M} UTC.", "",
                      *(f"- {line}" for line in machine.describe() + versions()), ""])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
    print(text, end="")
    print(f"written to {RESULTS / name}.md", file=sys.stderr)


def plot_bars(name, title, groups, series):
    """Write bench/results/NAME.svg: for each of `groups` a bar for each of `series`, {name: [height, None...]}."""
    if shutil.which("gnuplot") is None:
        print("no plot: gnuplot is not installed", file=sys.stderr)
        return
    rows = []
    for i, group in enumerate(groups):
        label = group.replace(" ", "\\n")  # each word on a line of its own
        heights = ["NaN" if bars[i] is None else f"{bars[i]:.4f}" for bars in series.values()]
        rows.append(f'"{label}" {" ".join(heights)}')
    data = "\n".join(rows)
    bars = ", ".join(f"$data using {i + 2}:xtic(1) title '{label}'" for i, label in enumerate(series))
    script = f"""\
set terminal svg size 1200,420 background 'white'
set output '{RESULTS / name}.svg'
set title '{title}'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8 noborder
set boxwidth 0.9
set grid ytics
set yrange [0:*]
set key outside right
set bmargin 5
$data << EOD
{data}
EOD
plot {bars}
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


def plot_quantiles(name, title, series):
    """Write bench/results/NAME.svg: a curve for each of `series`, {name: {share: value}}, with as much room for the last
    per cent as for the first ninety."""
    if shutil.which("gnuplot") is None:
        return
    blocks, curves = [], []
    for i, (label, quantiles) in enumerate(series.items()):
        points = "\n".join(f"{1 / (1 - share):.2f} {value}" for share, value in sorted(quantiles.items()) if share < 1)
        blocks.append(f"$data{i} << EOD\n{points}\nEOD\n")
        curves.append(f"$data{i} using 1:2 with linespoints pointtype 7 pointsize 0.3 linewidth 1.5 title '{label}'")
    ticks = ", ".join(f"'{share}' {1 / (1 - share / 100):.2f}" for share in (50, 75, 90, 99, 99.9, 99.99))
    script = f"""\
{"".join(blocks)}
set terminal svg size 960,420 background 'white'
set output '{RESULTS / name}.svg'
set title '{title}'
set logscale xy
set xtics ({ticks})
set xlabel 'per cent of the requests'
set grid
set key outside right
plot {", ".join(curves)}
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)
