"""A run against an earlier one: the ratio of ratios, in which the machine's mood of either day is not."""

from measuring import METRICS
from report import best_peers, quartiles

# What decides how much work a case is: runs that differ in these have nothing to tell of each other.
SIZES = ("link", "files", "mib", "builds")


class Unlike(SystemExit):
    """The other run was not of the same things."""


def check(then, now):
    for key in SIZES:
        if then.get(key) != now.get(key):
            raise Unlike(f"bench: the other run was made with --{key} {then.get(key)}, this one with {now.get(key)}")


def compare(then, now):
    """By case, ours, figure: (earlier share, share now, its change as a factor, whether the rounds' quartiles are
    apart). The share is of the best among the peers that are in both. And counts that hardly vary, then and now."""
    out = {}
    for name in now["cases"]:
        if name not in then["cases"]:
            continue
        before, after = then["cases"][name], now["cases"][name]
        shares = {}
        common = [who for who in after["runs"] if who in before["runs"]]
        peers = [who for who in common if who in after["peers"]]
        best = best_peers(after["medians"], peers)
        for who in common if best else []:
            if who in after["ratios"]:
                shares[who] = {k: change(before, after, who, best[k], k) for k in METRICS}
        out[name] = {"shares": shares, "counts": {what: (counts(before)[what], value)
                                                  for what, value in counts(after).items() if what in counts(before)}}
    return out


def change(before, after, who, peer, k):
    old, new = (run["medians"][who][k] / run["medians"][peer][k] for run in (before, after))
    low, high = (quartiles([mine[k] / other[k] for mine, other in zip(run["runs"][who], run["runs"][peer])])
                 for run in (before, after))
    return old, new, new / old, high[0] > low[1] or high[1] < low[0]


def counts(result):
    """Of our last run at a null builder, and under valgrind."""
    out = {}
    told = result["runs"]["libdepot"][-1].get("builder")
    if told:
        out = {"messages": told["outer"]["in"]["messages"], "bytes": told["outer"]["in"]["bytes"],
               "frames": sum(told["inner"]["in"].values())}
    if "callgrind" in result:
        out["instructions"] = result["callgrind"]["ir"]
    return out


def show(then, compared):
    print(f"Against {then['commit']} of {then['date']}: our share of the best common peer's, then -> now (now / then);"
          " *: the quartiles of the rounds do not overlap")
    print(f"  {'':20}{'wall':<28}{'CPU':<28}{'peak RSS':<28}")
    for name, case in compared.items():
        for who, by_metric in case["shares"].items():
            title = name if who == "libdepot" else f"{'':8}{who}"
            cells = (f"{old:.2f} -> {new:.2f} ({factor:.2f}){'*' if apart else ''}"
                     for old, new, factor, apart in by_metric.values())
            print(f"  {title:20}{''.join(f'{cell:<28}' for cell in cells)}")
        for what, (old, new) in case["counts"].items():
            if old != new:
                print(f"  {'':20}{what}: {old} -> {new} ({new / old:.3f})")
    print(flush=True)
