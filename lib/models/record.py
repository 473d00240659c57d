"""The record of a model, which is the JSON beside its file: read, listed and updated without Keras."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from operator import attrgetter
from pathlib import Path

from lib.base.workspace import Workspace, read_columns
from lib.data.findings import RESERVED
from lib.data.split import identify_set, read_split


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
    network: str = ""  # what files of its backbone are called
    weights: str = "from scratch"  # those of the backbone
    backbone_origin: dict = field(default_factory=dict)  # `networks.describe_origin`
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
        return self.name + self.suffix

    @property
    def suffix(self) -> str:
        """What labels add to names where the backbone is untrained."""
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


def update_record(ws: Workspace, record: Record, **facts: object) -> Record:
    """Return a record with facts that were found of its model, and write it beside the model."""
    record = replace(record, **facts)
    ws.save_json(asdict(record), f"models/{record.name}.json")
    return record


def remove_predictions(ws: Workspace, name: str) -> bool:
    """Remove the answers of a model, as 08 has written them; False where the table has other columns."""
    path = ws.results / f"predictions/{name}.csv"
    record = read_record(ws.results / f"models/{name}.json")
    if record is None or not path.exists():
        return True
    is_ours = read_columns(path) == [*RESERVED, *record.class_names]
    if is_ours:
        path.unlink()
    return is_ours


def list_records(ws: Workspace) -> tuple[list[Record], list[str]]:
    """List the models of the current split that name one label, in the order of the notebooks.

    Trainings of one configuration count together where they are of the family of the newest, and each
    seed counts once.

    Returns:
        The records, and a line about each model that is left out.

    Raises:
        FileNotFoundError: there is none.
    """
    set_hash = identify_set(read_split(ws))
    families = {}
    runs = set()
    records = []
    left_out = []
    for record in _read_newest_first(ws):
        name = record.configuration
        run = (name, record.seed)
        reason = ""
        if not record.family:
            reason = "it is damaged, without its .keras file, or an earlier version's: run its notebook again"
        elif record.split_hash != set_hash:
            reason = "it was trained on other pictures, labels or parts"
        elif record.family != families.setdefault(name, record.family) or run in runs:
            reason = f"{name} was trained since with other settings, other frozen weights or its seed"
        if reason:
            left_out.append(f"{record.name} is left out: {reason}.")
        else:
            runs.add(run)
            records.append(record)
    if not records:
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model of the current split: run 02_baseline_cnn, "
            f"04_resnet50_transfer or 05_backbones first. {' '.join(left_out)}"
        )
    records.sort(key=attrgetter("notebook", "name"))
    return records, left_out


def _read_newest_first(ws):
    """Return the records of all models of one label; of one that isn't whole it has the name alone."""
    records = []
    for path in sorted(ws.results.glob("models/*.json")):
        record = read_record(path)
        if record is None or not path.with_suffix(".keras").exists():
            record = Record(path.stem, [], 0)
        # A model of several labels has a split of its own.
        if not record.thresholds:
            records.append(record)
    return sorted(records, key=attrgetter("date"), reverse=True)


def find_transfer(
    ws: Workspace, name: str = "", kinds: tuple[str, ...] = ("linear", "transfer")
) -> Record:
    """Return the record of a model on a frozen backbone: the one asked for, or the newest.

    Args:
        ws: the workspace.
        name: of the model that is asked for, or "".
        kinds: linear for models of 05, transfer for those of 04; one of the first goes before.

    Raises:
        FileNotFoundError: the current split has none.
    """
    records, _ = list_records(ws)
    for kind in kinds:
        models = [record for record in records if record.kind == kind]
        if name:
            models = [record for record in models if record.name == name]
        if models:
            return max(models, key=attrgetter("date"))
    raise FileNotFoundError(
        f"{ws.results / 'models'} has no {name or 'model'} of the current split that is "
        f"{' or '.join(kinds)}. Run 05_backbones first."
    )
