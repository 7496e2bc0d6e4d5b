"""Medians, how far the runs were apart, ratios, and how they stand against the targets and an earlier run."""

import statistics

import callgrind
import clients
from measuring import METRICS

UNITS = {"wall": 1000, "cpu": 1000, "rss": 1}  # of what is shown, in what was measured


def summary(measured):
    """The medians of all, the quartiles around them, and our share of the best peer's, figure by figure."""
    taken = measured["runs"]
    medians = {who: {k: statistics.median(run[k] for run in runs) for k in METRICS} for who, runs in taken.items()}
    spread = {who: {k: quartiles([run[k] for run in runs]) for k in METRICS} for who, runs in taken.items()}
    peers = [who for who in medians if who not in (*clients.OURS, *clients.LEGACY, clients.FLOOR)]
    best = best_peers(medians, peers)
    ours = [who for who in clients.OURS if who in medians and best]
    ratios = {who: {k: medians[who][k] / medians[best[k]][k] for k in METRICS} for who in ours}
    # Round by round, so that a mood of the machine which lasts for a round is in both.
    ratio_spread = {who: {k: quartiles([mine[k] / other[k] for mine, other in zip(taken[who], taken[best[k]])])
                          for k in METRICS} for who in ours}
    return {"peers": peers, "medians": medians, "spread": spread, "ratios": ratios, "ratio_spread": ratio_spread,
            **measured}


def quartiles(values):
    if len(values) < 4:  # too few to leave any out
        return [min(values), max(values)]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, high]


def best_peers(medians, peers):
    return {k: min(peers, key=lambda who: medians[who][k]) for k in METRICS} if peers else {}


def show(name, result, link=None):
    rounds = len(result["runs"]["libdepot"])
    print(f"{name} (medians of {rounds} rounds; {'quartiles' if rounds >= 4 else 'least and most'})")
    trips = f"{'round trips':>14}" if link else ""  # as many as the whole would be made of
    rate = link[1] * 1e6 / 8 if link and "builder" in result["runs"]["libdepot"][-1] else 0
    share = f"{'of the link':>14}" if rate else ""
    titles = "".join(f"{title:>10}{'':20}" for title in ("wall ms", "CPU ms", "peak MiB"))
    print(f"  {'':10}{titles}{'builder CPU ms':>14}{trips}{share}".rstrip())
    for who, m in result["medians"].items():
        cells = "".join(f"{m[k] * UNITS[k]:10.1f}{between(result['spread'][who][k], UNITS[k], 1):20}" for k in METRICS)
        cells += f"{statistics.median(run['builder_cpu'] for run in result['runs'][who]) * 1000:14.0f}"
        trips = f"{m['wall'] / (link[0] / 1000):14.1f}" if link and link[0] else ""
        share = f"{result['runs'][who][-1]['builder']['bytes'] / rate / m['wall']:14.3f}" if rate else ""
        print(f"  {who:10}{cells}{trips}{share}".rstrip())
    for who, ratio in result["ratios"].items():
        cells = "".join(f"{ratio[k]:9.2f}x{between(result['ratio_spread'][who][k], 1, 2):20}" for k in METRICS)
        print(f"  {who:10}{cells.rstrip()}")
    for who, runs in result["runs"].items():
        if "builder" in runs[-1]:
            print(f"  the builder had of {who}: {pulled(runs[-1]['builder'])}")
    if "callgrind" in result:
        print(f"  libdepot under valgrind: {callgrind.line(result['callgrind'])}")
    print(flush=True)


def between(ends, factor, digits):
    return f" ({ends[0] * factor:.{digits}f}..{ends[1] * factor:.{digits}f})"


def pulled(told):
    """One line of what the null builder counted in a run."""
    def frames(way):
        return ", ".join(f"{n} {kind}" for kind, n in sorted(told["inner"][way].items(), key=lambda item: -item[1])[:3])

    outer, packets = told["outer"], told["packets"]
    if told.get("exported"):
        sent = told["exported"]
        return (f"{sent['files']} files, {sent['bytes'] >> 20} MiB exported in {sent['seconds']:.3f} s"
                f" ({sent['cpu']:.3f} s of its CPU)")
    return (f"{packets.get('STAT', 0)} STAT, {packets.get('DATA', 0)} DATA, {told['bytes'] >> 20} MiB"
            f" in {told['seconds']:.3f} s ({told['cpu']:.3f} s of its CPU); in:"
            f" {outer['in']['messages']} messages ({frames('in')}), out: {outer['out']['messages']} ({frames('out')})")


def against_targets(results, cases):
    print("Our share of the best peer's, and its target; self: the self-contained library")
    print(f"  {'':20}  {'wall':<18}  {'CPU':<18}  {'peak RSS':<18}")
    for name, result in results.items():
        for who, ratio in result["ratios"].items():
            title = name if who == "libdepot" else f"{'':8}{who}"
            targets = cases[name].target if who == "libdepot" else cases[name].self_target or cases[name].target
            print(f"  {title:20}{''.join(cell(ratio[k], target) for k, target in zip(METRICS, targets))}", flush=True)


def cell(ratio, target):
    text = f"{ratio:.2f}"
    if target is not None:
        text += f" <= {target:<4g} {'ok' if ratio <= target else 'FAIL'}"
    return f"  {text:<18}"


def markdown(results, cases):
    """Wall / client CPU / peak RSS, with quartiles: each peer's, and our share of what the best of them needs."""
    def figures(who, result):
        out = []
        for k in METRICS:
            median, ends = result["medians"][who][k], result["spread"][who][k]
            factor, unit, digits = (1, "MiB", 0) if k == "rss" else (1000, "ms", 0) if median < 1 else (1, "s", 1)
            out.append(f"{median * factor:.{digits}f} {unit}{between(ends, factor, digits)}")
        return " / ".join(out)

    def shares(who, result):
        return " / ".join(f"{result['ratios'][who][k]:.2f}{between(result['ratio_spread'][who][k], 1, 2)}"
                          for k in METRICS)

    columns = list(dict.fromkeys(who for result in results.values() for who in result["medians"]))
    columns.sort(key=lambda who: who in clients.OURS)  # peers first
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    for name, result in results.items():
        lines.append([cases[name].about, *(shares(who, result) if who in result["ratios"] else
                                           figures(who, result) if who in result["medians"] else ""
                                           for who in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
