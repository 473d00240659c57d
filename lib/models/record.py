"""The record of a model, which is the JSON beside its file: read, listed and updated without Keras."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from lib.data.split import identify_set, read_split
from lib.workspace import Workspace, read_table


@dataclass(frozen=True)
class Record:
    """What is known of a saved model.

    An earlier version of the project knew less of the models that were handed over: what it did not
    know is blank.
    """

    name: str  # of its file, and of all files that tell of it
    class_names: list[str]
    image_size: int  # side of the pictures, in pixels
    file_hash: str = ""  # `saved.hash_file`
    # Of what it is one training, and how that was made: network, transfer, linear, finetuned, multilabel.
    configuration: str = ""
    kind: str = ""
    notebook: str = ""
    split_hash: str = ""  # `split.identify_set` of the pictures it learned from
    demo: bool = False
    key: str = ""  # of all that decided the training
    family: str = (
        ""  # of the same without the seed and the first weights of what learned
    )
    seed: int | None = None  # None where none decides
    parameters: dict = field(default_factory=dict)  # what its notebook was told
    network: str = ""  # the backbone, without the folder it lies in
    weights: str = "from scratch"  # those of the backbone
    backbone_origin: dict = field(default_factory=dict)  # `origins.describe_origin`
    characteristics: str = ""
    purpose: str = ""
    seconds: float | None = None
    parameters_total: int | None = None
    parameters_trainable: int | None = None
    hardware: str = ""
    versions: dict = field(default_factory=dict)
    date: str = ""  # in UTC
    # What was found of it later.
    temperature: float | None = None
    calibrated_on: str = ""  # "" for validation pictures
    candidates: list[dict] = field(default_factory=list)  # of the contest that it won
    answer_sets: dict = field(default_factory=dict)  # `conformal.judge_sets`
    # Of a model of several labels: the probability from which it names each, its scores, and why it
    # has no file for phones.
    thresholds: dict = field(default_factory=dict)
    judged: dict = field(default_factory=dict)
    lacks: str = ""

    @property
    def is_untrained(self) -> bool:
        """Whether its backbone has random weights."""
        return self.weights == "untrained"

    @property
    def label(self) -> str:
        """The name, which says so where its backbone is untrained."""
        return self.name + self._mark

    @property
    def configuration_label(self) -> str:
        """The configuration, marked in the same way."""
        return self.configuration + self._mark

    @property
    def _mark(self):
        return " (untrained backbone)" if self.is_untrained else ""


def read_record(path: Path) -> Record | None:
    """Read the JSON beside a file; None where it is missing or damaged."""
    try:
        text = path.with_suffix(".json").read_text(encoding="utf-8")
        content = json.loads(text)
        facts = {}
        for each in fields(Record):
            # An earlier version wrote null for what it did not know.
            if content.get(each.name) is not None:
                facts[each.name] = content[each.name]
        return Record(**facts)
    except (AttributeError, OSError, TypeError, ValueError):
        return None


def update_record(ws: Workspace, record: Record, **found: object) -> Record:
    """Return a record with what was found of its model, and write it beside the model."""
    record = replace(record, **found)
    ws.save_json(asdict(record), f"models/{record.name}.json")
    return record


def list_records(ws: Workspace) -> tuple[list[Record], list[str]]:
    """List the models of the current split that name one label, in the order of the notebooks.

    Trainings of one configuration count together where they are of the family of the newest, and each
    seed counts once.

    Returns:
        The records, and a line about each model that is left out.

    Raises:
        FileNotFoundError: there is none.
    """
    current = identify_set(read_split(ws))
    found = []
    left_out = []
    for path in sorted(ws.results.glob("models/*.json")):
        record = read_record(path)
        if record is None:
            left_out.append(f"{path} is damaged: run again the notebook that made it.")
        elif not record.thresholds:
            found.append(record)
    found.sort(key=lambda record: record.date, reverse=True)
    families = {}
    runs = set()
    records = []
    for record in found:
        run = (record.configuration, record.seed)
        reason = ""
        if record.split_hash != current:
            reason = "it was trained on other pictures, labels or parts"
        elif not record.family:
            reason = f"an earlier version made it: run {record.notebook} again"
        elif families.setdefault(record.configuration, record.family) != record.family:
            reason = f"{record.configuration} was trained with other settings since"
        elif run in runs:
            reason = f"a newer training has its seed, {record.seed}"
        if reason:
            left_out.append(f"{record.name} is left out: {reason}.")
            continue
        runs.add(run)
        records.append(record)
    if not records:
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model of the current split: run 02_baseline_cnn, "
            f"04_resnet50_transfer or 05_backbones first. {' '.join(left_out)}"
        )
    records.sort(key=lambda record: (record.notebook, record.name))
    return records, left_out


def find_transfer(
    ws: Workspace, name: str = "", kinds: tuple[str, ...] = ("linear", "transfer")
) -> Record:
    """Return the record of a model on a frozen backbone: the one asked for, else the contest's winner.

    Without a name and a contest it is the first model of the first kind.

    Args:
        ws: the workspace.
        name: of the model that is asked for, or "".
        kinds: linear for models of 05, transfer for those of 04.

    Raises:
        FileNotFoundError: the current split has none.
    """
    records, _ = list_records(ws)
    known = {record.name: record for record in records if record.kind in kinds}
    by_kind = sorted(known, key=lambda each: kinds.index(known[each].kind))
    for each in [name] if name else find_winner(ws) + by_kind:
        if each in known:
            return known[each]
    raise FileNotFoundError(
        f"{ws.results / 'models'} has no {name or 'model'} of the current split that is "
        f"{' or '.join(kinds)}, but {', '.join(known) or 'none'}. Run 05_backbones first."
    )


def find_winner(ws: Workspace) -> list[str]:
    """Return the name of the model of 05's winner, in a list; none where 05 has not run."""
    path = ws.results / "contest.csv"
    if not path.exists():
        return []
    contest = read_table(path)
    return list(contest.candidate[contest.chosen == "True"] + "_linear")
