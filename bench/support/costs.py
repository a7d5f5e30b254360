"""costs - what bench/throughput has found, kept as JSON, and shown as tables, plots, and goals that are met or missed."""

import datetime
import hashlib
import json
import pathlib

import machine
import product
import report
import subjects
import works

NAME = "throughput"
ORDER = ["srsd-proxy", works.TWO_PROCESSES, works.SIDE_BY_SIDE, works.ONE_WORKER, "before", "nginx", "one nginx", "HAProxy",
         "one HAProxy", "floor", "one floor", "direct"]
FILE = report.RESULTS / f"{NAME}.json"

QUANTILES = (("0.5", "p50"), ("0.99", "p99"), ("0.999", "p99.9"), ("1", "longest"))


def identity():
    """What figures must have in common to stand in one table."""
    programs = [hashlib.sha256(pathlib.Path(product.binary(name)).read_bytes()).hexdigest()[:16]
                for name in ("srsd-proxy", "bench_load", "bench_backend", "bench_floor")]
    return [*machine.describe(), *subjects.versions(), " ".join(programs)]


def keep(summaries, is_part):
    """Write summaries to the file. `is_part`: other works of the same programs stay. Returns all that are in it."""
    kept = {}
    if is_part and FILE.exists():
        before = json.loads(FILE.read_text())
        if before["identity"] == identity():
            kept = before["works"]
    now = datetime.datetime.now(datetime.timezone.utc)
    for summary in summaries.values():
        summary["when"] = f"{now:%Y-%m-%d %H:%M}"
    kept.update(summaries)
    order = [work.name for work in works.WORKS] + [works.CALLS]
    kept = {name: kept[name] for name in order if name in kept}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"identity": identity(), "works": kept}, indent=1) + "\n")
    return kept


def by_order(proxies):
    return sorted(proxies.items(), key=lambda item: ORDER.index(item[0]))


def ratio(figures, what, other):
    found = figures["ratios"].get(what, {}).get(other)
    return "-" if found is None else f"{found:.2f}"


def cost_rows(summaries):
    for work, summary in summaries.items():
        for name, figures in by_order(summary["proxies"]):
            if "cost" in figures and name != "direct":
                yield (work, name, f"{figures['cost']:.1f} {summary['unit']}",
                       f"{figures['user_cost']:.1f} + {figures['cost'] - figures['user_cost']:.1f}",
                       *(ratio(figures, "cost", other) for other in ("nginx", "HAProxy", "floor")),
                       f"{figures['rate']:,.0f}" if figures["rate"] >= 10 else f"{figures['rate']:.1f}",
                       f"{figures['peak_kib']:,.0f}")


def latency_rows(summaries):
    for work in (works.GET_1, works.ASLEEP, works.AWAKE, works.ONE_PROCESSOR, works.HALF_LOAD):
        for name, figures in by_order(summaries.get(work, {"proxies": {}})["proxies"]):
            yield (work, name, *(f"{figures['latency_us'][share]:,.0f}" for share, _ in QUANTILES),
                   f"{figures['added']:.1f}" if "added" in figures else "-")


def worker_rows(summaries):
    """What two cost for each request, of what one does. Of ours also the steps in between."""
    proxies = summaries.get(works.TWO_WORKERS, {"proxies": {}})["proxies"]
    for name, other in (("srsd-proxy", works.TWO_PROCESSES), (works.TWO_PROCESSES, works.SIDE_BY_SIDE),
                        (works.SIDE_BY_SIDE, works.ONE_WORKER), ("srsd-proxy", works.ONE_WORKER),
                        *((name, f"one {name}") for name in ("nginx", "HAProxy", "floor"))):
        if name in proxies and other in proxies:
            yield (name, f"{proxies[name]['cost']:.1f} us", other, f"{proxies[other]['cost']:.1f} us",
                   ratio(proxies[name], "cost", other))


def call_rows(summaries):
    for name, figures in by_order(summaries.get(works.CALLS, {"proxies": {}})["proxies"]):
        names = sorted(figures["by_name"].items(), key=lambda item: -item[1])
        yield (name, f"{figures['calls']:.2f}", f"{figures['waits']:.2f}",
               ", ".join(f"{call} {often:.2f}" for call, often in names))


def judge(summaries):
    """Returns a row for each goal whose work was measured, and those that are missed, in words."""
    rows, missed = [], []
    for goal in works.GOALS:
        ours = summaries.get(goal.work, {"proxies": {}})["proxies"].get("srsd-proxy")
        if ours is None:
            continue
        found = max(ours["ratios"][goal.what][other] for other in goal.of) if goal.of else ours[goal.what]
        of = f", of that of {' and of '.join(goal.of)}" if goal.of else ""
        is_met = found <= goal.most
        rows.append((goal.work, goal.words + of, goal.format.format(goal.most), goal.format.format(found),
                     "yes" if is_met else "**no**"))
        if not is_met:
            missed.append(f"{goal.work}: {goal.words}{of} is {goal.format.format(found)}, "
                          f"{goal.format.format(goal.most)} at most")
    return rows, missed


INTRODUCTION = """\
The proxy is pinned to one processor, load and backends to the other. nginx and HAProxy: no log, pooled connections to the
backends, no forwarding fields. srsd-proxy: backends from ZooKeeper, forwarding fields, request ids, counters, health on, no
access log. Floor: a forwarder that parses nothing. Direct: no proxy. Ratios are medians of the ratios within each round.
Memory is the most that is the process's own (heap, stacks) meanwhile. One processor: load and backends
share the proxy's, so that nobody has to be woken up on another one, which takes longer than all the rest. Two workers: each processor has load and backends
as well, and all connections are dealt out to both workers, of ours, nginx, HAProxy and the floor; one worker, one nginx, one HAProxy, one floor: the same on
one processor. Side by side: two processes of ours with a worker each, that have nothing in common but the machine. Two processes: the same, but all load
asks both, and both ask all backends, as two workers do. Where that pays, srsd-proxy waits awake for
a lone answer; asleep: it never does (answer_wait: asleep); busy_wait: it waits awake for anything, for up to 1 ms."""


def write(summaries, missing):
    """Write tables and plots of all that is known. `missing`: what could not be measured. Returns what is missed."""
    goals, missed = judge(summaries)
    sections = [
        ("Processor time", ["work", "proxy", "processor time", "user + kernel, us", "of nginx", "of HAProxy",
                            "of the floor", "answers/s", "peak memory, KiB"], cost_rows(summaries)),
        ("Latency, microseconds", ["work", "proxy", *(words for _, words in QUANTILES), "added to the median"],
         latency_rows(summaries)),
        ("Two workers, per request", ["proxy", "processor time", "beside", "processor time", "ratio"], worker_rows(summaries)),
        ("System calls per request", ["proxy", "calls", "epoll_wait", "which"], call_rows(summaries)),
        ("Goals", ["work", "figure", "at most", "is", "met"], goals)]
    lines = ["# What a request costs", "", INTRODUCTION, ""]
    for title, head, rows in sections:
        if rows := list(rows):
            lines += [f"## {title}", "", *report.table(head, rows), ""]
    lines += [f"Missed: {words}." for words in missed] + [f"Not measured: {words}." for words in missing] + ["", "## Rounds", ""]
    lines += [f"- {work}, {summary['when']} UTC: {'; '.join(summary['notes'])}" for work, summary in summaries.items()]
    report.write(NAME, lines)
    plot(summaries)
    return missed


def plot(summaries):
    """Bars of processor time above the floor, and curves of the latency's quantiles."""
    names = [name for name in ORDER if name in ("srsd-proxy", "before", "nginx", "HAProxy")
             and any(name in summary["proxies"] for summary in summaries.values())]
    costs = {work: summary["proxies"] for work, summary in summaries.items()
             if "floor" in summary["proxies"] and "unit" in summary}
    if costs:
        report.plot_bars(NAME, "Processor time, floor = 1", list(costs), {
            name: [proxies[name]["ratios"]["cost"]["floor"] if name in proxies else None for proxies in costs.values()]
            for name in names})
    half = summaries.get(works.HALF_LOAD)
    if half:
        report.plot_quantiles(f"{NAME}-latency", f"Latency at {half['rate']:,} requests/s, half load, us", {
            name: {float(share): value for share, value in figures["latency_us"].items()}
            for name, figures in by_order(half["proxies"])})
