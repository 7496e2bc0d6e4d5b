"""Medians, ratios, and how they stand against the targets."""

import statistics

import callgrind
from measuring import METRICS


def summary(measured):
    """The medians of all, and libdepot's share of the best peer's, metric by metric."""
    taken = measured["runs"]
    medians = {who: {k: statistics.median(run[k] for run in runs) for k in METRICS} for who, runs in taken.items()}
    peers = [m for who, m in medians.items() if who != "libdepot"]
    ratio = {k: medians["libdepot"][k] / min(m[k] for m in peers) for k in METRICS} if peers else {}
    return {"medians": medians, "ratio": ratio, **measured}


def show(name, result):
    print(f"{name} (medians of {len(result['runs']['libdepot'])})")
    print(f"  {'':10}{'wall ms':>12}{'CPU ms':>12}{'peak MiB':>12}")
    for who, m in result["medians"].items():
        print(f"  {who:10}{m['wall'] * 1000:12.1f}{m['cpu'] * 1000:12.1f}{m['rss']:12.1f}")
    if ratio := result["ratio"]:
        print(f"  {'ratio':10}{ratio['wall']:11.2f}x{ratio['cpu']:11.2f}x{ratio['rss']:11.2f}x")
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
    print("libdepot's share of the best peer's, and its target")
    print(f"  {'':20}  {'wall':<18}  {'CPU':<18}  {'peak RSS':<18}")
    for name, result in results.items():
        cells = []
        for metric, target in zip(METRICS, cases[name].target):
            ratio = result["ratio"].get(metric)
            text = "-" if ratio is None else f"{ratio:.2f}"
            if ratio is not None and target is not None:
                text += f" <= {target:<4g} {'ok' if ratio <= target else 'FAIL'}"
            cells.append(f"  {text:<18}")
        print(f"  {name:20}{''.join(cells)}", flush=True)
