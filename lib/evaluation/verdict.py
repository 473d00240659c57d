"""The answer box: which model to use, how good it is, what to believe, what to do next."""

import pandas as pd

from lib.evaluation.claims import describe_calibration, describe_pairs
from lib.evaluation.intervals import LEVEL, wilson_interval
from lib.evaluation.wording import join_names, write_count

# Classes that are named as the weakest.
WEAKEST = 3


def find_best(scores: dict[str, dict]) -> list[str]:
    """Return the labels of the models with the highest top-1 accuracy: one, or several alike."""
    top = max(score["top1"] for score in scores.values())
    return [label for label, score in scores.items() if score["top1"] == top]


def beats_baseline(scores: dict[str, dict]) -> bool:
    """Tell whether the best model surely beats always answering the commonest class.

    The best of k models was chosen for its score, so the level is divided by k (Bonferroni).
    """
    score = scores[find_best(scores)[0]]
    n = score["n_independent"]
    low, _ = wilson_interval(score["top1"] * n, n, level=LEVEL / len(scores))
    return low > score["baseline"]


def list_weakest(score: dict) -> list[tuple[str, int, int]]:
    """List the classes that are recognised worst, never those without a mistake.

    Returns (class, pictures recognised, pictures), `WEAKEST` at most.
    """
    recall = pd.Series(score["per_class"], dtype=float).dropna().sort_values(kind="stable")
    support = score["support"]
    worst = recall[recall < 1].head(WEAKEST)
    return [(name, round(share * support[name]), support[name]) for name, share in worst.items()]


def describe_choice(scores: dict[str, dict]) -> str:
    """Say which model to use and how many pictures it recognises, or that none is of use yet."""
    best = find_best(scores)
    score, each = scores[best[0]], "Each" if best[1:] else "It"
    low, high = (f"{100 * bound:.0f}" for bound in score["top1_interval"])
    right = write_count(score["top1"], score["n"])
    size = f"{right} pictures ({100 * score['top1']:.0f} %, 95 % interval {low} to {high} %)"
    size = size.replace(" %", "\N{NO-BREAK SPACE}%")
    counts = sorted(score["support"].values())
    kind = "one of the commonest classes" if counts[-2:-1] == counts[-1:] else "the commonest class"
    always = write_count(score["baseline"], score["n"])
    if not beats_baseline(scores):
        return (
            f"No model surely beats always answering {score['commonest']}, {kind}, which is right "
            f"for {always}. The highest score is that of {join_names(best)}: {size}."
        )
    return (
        f"Use {join_names(best, last='or')}. {each} recognises {size} that no model has learned "
        f"from. Always answering {score['commonest']}, {kind}, gets {always} right."
    )


def make_verdict(scores: dict[str, dict], pairs: pd.DataFrame, ways: list[str]) -> list[tuple]:
    """Make the answer box.

    Args:
        scores: label to `metrics.evaluate`, with n_independent, of the first run of each model.
        pairs: as `comparisons.compare_pairs` returns it.
        ways: sentences of `claims.describe_ways`.

    Returns a list of (question, answer).
    """
    best = find_best(scores)[0]
    rows = [("Which model?", describe_choice(scores))]
    if len(scores) > 1:
        rows.append(
            (
                "And the others?",
                f"{best} is {describe_pairs(pairs, best)}. The best of {len(scores)} is a little "
                "flattered: the same pictures chose it and scored it.",
            )
        )
    rows.append(("Can its probabilities be believed?", _begin(describe_calibration(scores[best]))))
    weakest = [f"{name} ({right} of {n})" for name, right, n in list_weakest(scores[best])]
    rows.append(("Its weakest classes?", f"{join_names(weakest) or 'No class has a mistake'}."))
    open_questions = [sentence for sentence in ways if "not" in sentence or "can't" in sentence]
    if open_questions:
        rows.append(("What is not established?", " ".join(open_questions[:2])))
    return rows


def _begin(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def list_next_steps(scores: dict[str, dict], found: dict) -> list[str]:
    """List what to do next, chosen from what was found.

    Args:
        scores: as in `make_verdict`.
        found: demo (bool); suspects, the number of pictures that no trained model recognises;
            doubtful, the number of labels that 07 doubts, or None where it has not run; contest
            (bool), whether 05 has compared networks; runs, the most trainings of one model.
    """
    steps, score = [], scores[find_best(scores)[0]]
    if found["demo"]:
        steps.append("Put in your own pictures: these are drawn ones (drive_paths.example.json).")
    if weakest := list_weakest(score):
        steps.append(f"Add pictures of {join_names(name for name, _, _ in weakest)}.")
    if found["suspects"]:
        steps.append(
            f"Look at the {found['suspects']:,} pictures that no model recognises (suspects.csv): "
            "they are hard, or their labels are wrong."
        )
    if found["doubtful"]:
        steps.append(f"Check the {found['doubtful']:,} labels that 07 doubts (label_audit.csv).")
    if not found["contest"]:
        steps.append("Let pretrained networks compete: python -m lib.chain --beyond.")
    if found["runs"] < 2:
        steps.append(
            "Train with five seeds, to tell luck from a better way: python -m lib.chain --seeds 5."
        )
    return steps
