"""What was measured, beside its goal: the entries of target/bench/summary.json and the table for people."""

import dataclasses
import json
import pathlib

import figures

KEYS = ("name", "ours", "peer", "peerValue", "unit", "ratio", "goal", "met", "spread")
GOALS = pathlib.Path(__file__).parent / "goals.json"


@dataclasses.dataclass
class Series:
    """One figure over the rounds. `theirs` is empty where only ours is told."""

    name: str
    unit: str
    ours: list
    peer: str = None
    theirs: list = dataclasses.field(default_factory=list)


def read_goals(path=GOALS):
    goals = json.loads(path.read_text())
    for goal in goals:
        bounds = [key for key in ("atLeast", "atMost") if key in goal]
        if len(bounds) != 1 or goal["of"] not in ("ratio", "ours") or not goal["measure"] or not goal["name"]:
            raise ValueError(f"{path}: a goal has a measure, a name, `of` (ratio or ours) and either atLeast or atMost: {goal}")
    return goals


def find_goal(goals, series):
    return next((goal for goal in goals if goal["name"] == series.name and goal.get("peer") in (None, series.peer)), None)


def is_met(goal, ours, ratio):
    value = ratio if goal["of"] == "ratio" else ours
    if value is None:
        return None
    slack = goal.get("noise", 0)
    return value >= goal["atLeast"] * (1 - slack) if "atLeast" in goal else value <= goal["atMost"] * (1 + slack)


def entry(series, goals, judged=True):
    """One entry. `ratio`: the median of ours by theirs, round by round. `spread`: its lowest and highest round, of ours
    where there is no peer. `judged`: whether the figures are good enough for a word about the goal."""
    ours = figures.median(series.ours)
    ratios = figures.ratios(series.ours, series.theirs) if series.theirs else []
    ratio = figures.median(ratios) if ratios else None
    goal = find_goal(goals, series)
    bound = {key: goal[key] for key in ("of", "atLeast", "atMost", "noise") if key in goal} if goal else None
    digits = figures.significant
    return {
        "name": series.name,
        "ours": digits(ours),
        "peer": series.peer,
        "peerValue": digits(figures.median(series.theirs)) if series.theirs else None,
        "unit": series.unit,
        "ratio": digits(ratio),
        "goal": bound,
        "met": is_met(goal, ours, ratio) if goal and judged else None,
        "spread": [digits(value) for value in figures.spread(ratios or series.ours)],
    }


def check(entries):
    """What is wrong with a summary, in words; nothing if it is as it should be."""
    wrong = []
    for at, one in enumerate(entries):
        if tuple(one) != KEYS:
            wrong.append(f"entry {at} has the keys {list(one)}, expected {list(KEYS)}")
            continue
        if not isinstance(one["ours"], (int, float)) or not one["unit"]:
            wrong.append(f"{one['name']}: ours is {one['ours']!r} {one['unit']!r}, expected a number with a unit")
        if (one["peerValue"] is None) != (one["ratio"] is None):
            wrong.append(f"{one['name']}: a ratio needs a peer's value, and the other way round")
        if len(one["spread"]) != 2 or one["spread"][0] > one["spread"][1]:
            wrong.append(f"{one['name']}: the spread is {one['spread']}, expected the lowest and the highest")
    seen = [(one.get("name"), one.get("peer")) for one in entries]
    wrong += [f"{name} against {peer} is there twice" for name, peer in sorted({pair for pair in seen if seen.count(pair) > 1}, key=str)]
    return wrong


def unmet_names(goals, measures, entries):
    """Goals of the measures that no entry speaks of."""
    told = {(one["name"], one["peer"]) for one in entries}
    names = {name for name, _ in told}
    wanted = (goal for goal in goals if goal["measure"] in measures)
    return [goal for goal in wanted if (goal["name"], goal["peer"]) not in told and (goal["peer"] or goal["name"] not in names)]


def goal_words(goal):
    if not goal:
        return ""
    sign, value = ("≥", goal["atLeast"]) if "atLeast" in goal else ("≤", goal["atMost"])
    return f"{'ratio ' if goal['of'] == 'ratio' else ''}{sign} {figures.significant(value)}"


def table(entries):
    """Lines for people."""
    rows = [("measure", "ours", "unit", "peer", "peer's", "ratio", "lowest to highest", "goal", "")]
    for one in entries:
        number = lambda value: "" if value is None else f"{value:g}"
        spread = "{:g} to {:g}".format(*one["spread"])
        met = {True: "met", False: "not met", None: ""}[one["met"]]
        rows.append((one["name"], number(one["ours"]), one["unit"], one["peer"] or "", number(one["peerValue"]), number(one["ratio"]),
                     spread, goal_words(one["goal"]), met))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
