"""Pictures with captions, as HTML tables that fit any width."""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from lib.evaluation.display import encode, open_template
from lib.evaluation.figures import MAX_ROWS

SMALL = 112  # pixels of a thumbnail


def picture_grid(rows: dict, title: str, captions=None) -> str | None:
    """Return one row of pictures for each heading, the first 40; None without pictures.

    `rows` is heading to pictures, uint8 (n, height, width, 3), of any n; `captions` heading to n lists of
    lines, which stand below them.
    """
    rows = {heading: pictures for heading, pictures in rows.items() if len(pictures)}
    if not rows:
        return None
    captions = captions or {
        heading: [[]] * len(pictures) for heading, pictures in rows.items()
    }
    title += (
        f" (the first {MAX_ROWS} of {len(rows)} rows)" if len(rows) > MAX_ROWS else ""
    )
    shown = [(k, zip(map(encode, rows[k]), captions[k])) for k in [*rows][:MAX_ROWS]]
    text = open_template("gallery.html.jinja").render(title=title, rows=shown)
    return text.encode(
        "ascii", "xmlcharrefreplace"
    ).decode()  # So that no browser has to guess.


def mistakes(answers, pictures, count: int) -> str | None:
    """Show for each model the mistakes that it was surest of; None where there are none.

    `pictures` are uint8 (n, height, width, 3), in the order of the `Predictions`; a row has `count` at most.
    """
    answers, rows = answers.first, {}
    for place, label in enumerate(answers.labels):
        order = np.argsort(-answers.confidence[place], kind="stable")
        wrong = order[~answers.correct[place, order]][:count]
        rows[label] = {
            k: [_say(answers, place, k), f"label {answers.truth[k]}"] for k in wrong
        }
    return _show(answers, pictures, rows, "The mistakes that each model was surest of")


def thumbnails(mistakes: dict[str, list[dict]], pictures) -> str:
    """Return a style sheet of the pictures that `report.find_mistakes` shows, each once: class p<number>."""
    kinds = [kind for of_model in mistakes.values() for kind in of_model]
    numbers = {number for kind in kinds for number, _ in kind["shown"]}
    small = {
        k: Image.fromarray(pictures[[k]][0]).resize((SMALL, SMALL))
        for k in sorted(numbers)
    }
    rule = ".p{}{{background-image:url(data:image/webp;base64,{})}}"
    return f"<style>{''.join(rule.format(k, encode(one, 70)) for k, one in small.items())}</style>"


def suspects(answers, table, pictures, count: int) -> str | None:
    """Show the first `count` pictures of `Predictions.list_suspects`, as `mistakes`."""
    row = {}
    for k, of in table[:count].iterrows():
        said = [f"{label}: {of[label]}" for label in answers.first.labels]
        row[k] = [f"label {of['label']} {of['label_probability']:.2f}", *said]
    return _show(
        answers, pictures, {"": row}, "Labels, their mean probability, what models say"
    )


def _say(answers, model: int, k: int) -> str:
    name = answers.class_names[answers.y_pred[model, k]]
    return f"says {name} {answers.confidence[model, k]:.2f}"


def _show(
    answers, pictures, rows: dict[str, dict[int, list[str]]], title: str
) -> str | None:
    # rows: heading to {position of a picture: lines below it}, to which its file is added.
    shown = {heading: pictures[np.array([*row], int)] for heading, row in rows.items()}
    lines = {
        h: [[*text, answers.files[k]] for k, text in row.items()]
        for h, row in rows.items()
    }
    return picture_grid(shown, title, lines)


def evidence(answers, pictures, chosen, maps: dict[str, np.ndarray]) -> str | None:
    """Show pictures, `chosen` int (k,), and below them what spoke for each model's answers.

    `maps` is label to what `gradcam.grad_cam` returns of them; None without any.
    """
    rows = {"pictures": pictures[chosen]}
    captions = {"pictures": [[answers.truth[k], answers.files[k]] for k in chosen]}
    for place, label in enumerate(answers.labels):
        if label in maps:
            rows[label] = [*map(_overlay, rows["pictures"], maps[label])]
            captions[label] = [[_say(answers, place, k)] for k in chosen]
    return picture_grid(rows, "What spoke for each answer", captions) if maps else None


def _overlay(picture: np.ndarray, strength: np.ndarray) -> np.ndarray:
    strength = Image.fromarray(strength.astype(np.float32)).resize(picture.shape[1::-1])
    cover = np.clip(strength, 0, 1)
    colour, cover = 255 * plt.get_cmap("plasma")(cover)[..., :3], 0.8 * cover[..., None]
    grey = 0.6 * picture.mean(
        axis=2, keepdims=True
    )  # Yellow on it needs no eye for red and green.
    return ((1 - cover) * grey + cover * colour).astype(np.uint8)


def random_pictures(pictures, table, labels: list[str]) -> str:
    """Show pictures, uint8 (height, width, 3), with what each model says of them.

    `table` has columns file, truth ("" where it is unknown), verdict, and of each model its label,
    which is the answer, and "<label> probability".
    """
    captions = []
    for _, row in table.iterrows():
        marks = ("✗ ", "✓ ") if row["truth"] else ("", "")
        said = [f"{marks[row[k] == row['truth']]}{k}: {row[k]}" for k in labels]
        said = [
            f"{text} {row[f'{k} probability']:.2f}" for k, text in zip(labels, said)
        ]
        captions.append(
            [row["file"], row["truth"] or "truth unknown", *said, row["verdict"]]
        )
    return picture_grid({"": pictures}, "Pictures and what models say", {"": captions})
