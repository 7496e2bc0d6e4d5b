#!/usr/bin/env python3
"""What the bench makes of its measurements: shares, how far the rounds were apart, and a run against another."""

import comparison
import report


def runs(*walls):
    return [{"wall": wall, "cpu": wall / 2, "rss": 20.0, "builder_cpu": 0.5} for wall in walls]


def taken(factor, ours, **peers):
    return report.summary({"runs": {who: runs(*(factor * wall for wall in walls))
                                    for who, walls in {"libdepot": ours, **peers}.items()}})


def refused(then, now):
    try:
        comparison.check(then, now)
    except comparison.Unlike as unlike:
        return str(unlike)
    return None


def close(one, other):
    return abs(one - other) < 1e-9


def main():
    quick = taken(1, (1.0, 1.2, 1.1, 1.3, 1.2), buildctl=(2.0, 2.4, 2.2, 2.6, 2.4), buildx=(4.0,) * 5,
                  **{"docker-py": (.1,) * 5})
    assert quick["peers"] == ["buildctl", "buildx"], quick["peers"]  # not of an Engine
    assert close(quick["ratios"]["libdepot"]["wall"], .5), quick["ratios"]
    # Round by round all are half, however far the rounds are apart.
    assert all(close(end, .5) for end in quick["ratio_spread"]["libdepot"]["wall"]), quick["ratio_spread"]
    assert all(map(close, quick["spread"]["libdepot"]["wall"], (1.1, 1.2))), quick["spread"]
    assert report.quartiles([3, 1, 2]) == [1, 3]  # too few to leave any out

    sizes = {"link": None, "files": 1, "mib": 1, "builds": 1}
    then = {"commit": "a", "date": "b", **sizes, "cases": {"cached": quick, "gone": quick}}
    # A machine half as fast, with a peer less and a new case: nothing changed.
    slow = taken(2, (1.0, 1.2, 1.1, 1.3, 1.2), buildctl=(2.0, 2.4, 2.2, 2.6, 2.4))
    now = {**sizes, "cases": {"cached": slow, "new": slow}}
    assert refused(then, now) is None
    assert "--files 1, this one with 2" in refused(then, {**now, "files": 2})
    compared = comparison.compare(then, now)
    assert list(compared) == ["cached"], compared
    old, new, factor, apart = compared["cached"]["shares"]["libdepot"]["wall"]
    assert close(old, .5) and close(new, .5) and close(factor, 1) and not apart, compared
    # Twice as long as it took, on the same machine.
    worse = {**sizes, "cases": {"cached": taken(1, (2.0, 2.4, 2.2, 2.6, 2.4), buildctl=(2.0, 2.4, 2.2, 2.6, 2.4))}}
    old, new, factor, apart = comparison.compare(then, worse)["cached"]["shares"]["libdepot"]["wall"]
    assert close(factor, 2) and apart, (old, new, factor)
    # Peers that are not the same have nothing to say.
    alone = {**sizes, "cases": {"cached": taken(1, (1.0,), **{"depot-go": (1.0,)})}}
    assert comparison.compare(then, alone)["cached"]["shares"] == {}
    comparison.show(then, compared)
    report.show("cached", quick)


main()
