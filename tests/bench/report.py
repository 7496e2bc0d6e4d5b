"""Medians, ratios, and how they stand against the targets."""

import statistics

import callgrind
import clients
from measuring import METRICS


def summary(measured):
    """The medians of all, and our share of the best peer's, metric by metric."""
    taken = measured["runs"]
    medians = {who: {k: statistics.median(run[k] for run in runs) for k in METRICS} for who, runs in taken.items()}
    peers = [m for who, m in medians.items() if who not in clients.OURS]
    ratios = {who: {k: medians[who][k] / min(m[k] for m in peers) for k in METRICS}
              for who in clients.OURS if who in medians and peers}
    return {"medians": medians, "ratios": ratios, **measured}


def show(name, result, round_trip):
    print(f"{name} (medians of {len(result['runs']['libdepot'])})")
    trips = f"{'round trips':>14}" if round_trip else ""  # as many as the whole would be made of
    print(f"  {'':10}{'wall ms':>12}{'CPU ms':>12}{'peak MiB':>12}{trips}")
    for who, m in result["medians"].items():
        trips = f"{m['wall'] / round_trip:14.1f}" if round_trip else ""
        print(f"  {who:10}{m['wall'] * 1000:12.1f}{m['cpu'] * 1000:12.1f}{m['rss']:12.1f}{trips}")
    for who, ratio in result["ratios"].items():
        print(f"  {who:10}{ratio['wall']:11.2f}x{ratio['cpu']:11.2f}x{ratio['rss']:11.2f}x")
    for who, runs in result["runs"].items():
        if "builder" in runs[-1]:
            print(f"  the builder had of {who}: {pulled(runs[-1]['builder'])}")
    if "callgrind" in result:
        print(f"  libdepot under valgrind: {callgrind.line(result['callgrind'])}")
    print(flush=True)


def pulled(told):
    """One line of what the null builder counted in a run."""
    def frames(way):
        return ", ".join(f"{n} {kind}" for kind, n in sorted(told["inner"][way].items(), key=lambda item: -item[1])[:3])

    outer, packets = told["outer"], told["packets"]
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


def markdown(results, cases):
    """Wall / client CPU / peak RSS: each peer's, and our share of what the best of them needs."""
    def figures(m):
        wall = f"{m['wall'] * 1000:.0f} ms" if m["wall"] < 1 else f"{m['wall']:.1f} s"
        cpu = f"{m['cpu'] * 1000:.0f} ms" if m["cpu"] < 1 else f"{m['cpu']:.1f} s"
        return f"{wall} / {cpu} / {m['rss']:.0f} MiB"

    columns = list(dict.fromkeys(who for result in results.values() for who in result["medians"]))
    columns.sort(key=lambda who: who in clients.OURS)  # peers first
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    for name, result in results.items():
        line = [cases[name].about]
        for who in columns:
            ratio = result["ratios"].get(who)
            line.append(" / ".join(f"{ratio[k]:.2f}" for k in METRICS) if ratio else
                        figures(result["medians"][who]) if who in result["medians"] else "")
        lines.append(line)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(ratio, target):
    text = f"{ratio:.2f}"
    if target is not None:
        text += f" <= {target:<4g} {'ok' if ratio <= target else 'FAIL'}"
    return f"  {text:<18}"
