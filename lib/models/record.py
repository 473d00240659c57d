"""The record of a model, the JSON beside its file; and what 05 and 07 have found, found.json."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from pydantic import TypeAdapter

from lib.base.paths_file import read_json
from lib.base.workspace import Workspace
from lib.data.split import identify_set, read_split


@dataclass(frozen=True)
class SetLimit:
    """The limit of answer sets, as 10 has calibrated it: `limits.find_limit`."""

    coverage: float = 0.95  # share of the groups whose sets should hold the truth
    limit: float | None = None  # a probability; None where groups are too few
    groups: int = 0  # how many calibrated it; none before 10 has run
    grouped: bool = False  # whether any of them has several pictures
    # A class, pictures whose set holds the truth, pictures: where that is surely the lowest share.
    lowest: list = field(default_factory=list)


@dataclass(frozen=True)
class StrangerLimit:
    """The distance beyond which a picture is a stranger, as 10 has found it."""

    mark: str = ""  # the word for a stranger
    farthest: float | None = None  # a distance; None where groups are too few
    groups: int = 0  # how many set it; none before 10 has run


@dataclass(frozen=True)
class Record:
    """What is known of a saved model.

    An earlier version of the project knew less of the models that were handed over: what it did not
    know is blank.
    """

    name: str  # of its file, and of all files that tell of it
    class_names: list[str]
    image_size: int  # side of the pictures, in pixels
    file_hash: str = ""  # `saved.hash_model`
    configuration: str = ""  # of which it is one training
    # How it was made: scratch, transfer, linear, finetuned or multilabel.
    kind: str = "scratch"
    split_hash: str = ""  # `split.identify_set` of the pictures it learned from
    key: str = ""  # of all that decided the training
    # Of the same without the seed and the first weights of what learned.
    family: str = ""
    seed: int | None = None  # None where none decides
    parameters: dict = field(default_factory=dict)  # what its notebook was told
    network: str = ""  # what files of its backbone are called
    weights: str = "from scratch"  # those of the backbone
    backbone_origin: dict = field(default_factory=dict)  # `networks.describe_origin`
    characteristics: str = ""
    purpose: str = ""
    # Rows as in `training.Run`.
    history: list[dict] = field(default_factory=list)
    seconds: float | None = None
    parameters_total: int | None = None
    parameters_trainable: int | None = None
    hardware: str = ""
    versions: dict = field(default_factory=dict)
    date: str = ""  # in UTC
    # What was found of it later.
    temperature: float | None = None
    answer_sets: SetLimit = SetLimit()
    strangers: StrangerLimit = StrangerLimit()
    # As 10 was told: of the model, and what the Hub calls its pictures.
    licence: str = ""
    dataset: str = ""
    # Of classes and parents, as 08 has read them: `parents.read_parents`.
    parents: dict = field(default_factory=dict)
    # Of a model of several labels: the probability from which it names each.
    thresholds: dict = field(default_factory=dict)

    @property
    def is_untrained(self) -> bool:
        """Whether its backbone has random weights."""
        return self.weights == "untrained"

    @property
    def is_balanced(self) -> bool:
        """Whether class weights made rare classes count as much as others."""
        return "balanced" in self.parameters.values()

    @property
    def label(self) -> str:
        """The name, which says so where its backbone is untrained."""
        return self.name + self.suffix

    @property
    def suffix(self) -> str:
        """What labels add to names where the backbone is untrained."""
        return " (untrained backbone)" if self.is_untrained else ""


@dataclass(frozen=True)
class Rise:
    """How accuracy changed from half of the training pictures to all, as 05 has found."""

    pictures: int  # how many all are
    change: float
    # Its 95 % interval; it surely rose where that lies above 0.
    low: float
    high: float


@dataclass(frozen=True)
class Found:
    """What 05 and 07 have found of one set of pictures, for 08 and 10: the content of found.json."""

    set: str  # `split.identify_set`
    # By 05, of each network that took part: candidate, accuracy, low, high.
    contest: list[dict] = field(default_factory=list)
    winner: str = ""  # by 05, the name of the model that it has made
    curve: Rise | None = None  # by 05, where half of the pictures can be tried
    # By 07: labels that it doubts, None before it has run; and pictures that it takes for copies of
    # one of the other part.
    doubtful: int | None = None
    copies: int = 0
    to_check: int = 0  # pictures of review.html


def read_found(ws: Workspace, set_hash: str) -> Found:
    """Read what was found of a set; nothing, where found.json is missing, damaged or of another set."""
    found = _read(ws.results / "found.json", Found)
    if found is None or found.set != set_hash:
        return Found(set_hash)
    return found


def write_found(ws: Workspace, set_hash: str, **facts: object) -> None:
    """Add facts, fields of `Found`, to what was found of a set; what was found of another set goes."""
    found = replace(read_found(ws, set_hash), **facts)
    ws.save_json(asdict(found), "found.json")


def _read(path, kind):
    """Read the JSON of a dataclass, without what another version knew more, or left open.

    Returns None where it is missing or damaged.
    """
    try:
        content = read_json(path).items()
        known = {name: value for name, value in content if value is not None}
        return TypeAdapter(kind).validate_python(known)
    except (OSError, ValueError):
        return None


def read_record(path: Path) -> Record | None:
    """Read the JSON beside a file; None where it is missing or damaged."""
    return _read(path.with_suffix(".json"), Record)


def update_record(ws: Workspace, record: Record, **facts: object) -> Record:
    """Return a record with facts that were found of its model, and write it beside the model."""
    record = replace(record, **facts)
    ws.save_json(asdict(record), f"models/{record.name}.json")
    return record


def rename_family(ws: Workspace, record: Record, identity: dict) -> Record:
    """Give a model the key of this version, and all trainings of its family the family.

    Args:
        ws: the workspace.
        record: of a model that an earlier version has trained.
        identity: the key and the family that it has now.
    """
    family = identity["family"]
    for other in _read_records(ws):
        if other.family == record.family != family:
            update_record(ws, other, family=family)
    return update_record(ws, record, **identity)


def list_records(
    ws: Workspace, kinds: Collection[str] = (), name: str = ""
) -> list[Record]:
    """List the models of the current split that name one label, the oldest first.

    Trainings of one configuration count together where they are of the family of the newest, and each
    seed counts once. A note names a model that is left out, and says why.

    Args:
        kinds: those that are asked for; all, where there is none.
        name: of the only model that is asked for, or "".

    Raises:
        FileNotFoundError: there is none.
    """
    found = []
    for record in _read_records(ws):
        if (not kinds or record.kind in kinds) and not record.thresholds:
            found.append(record)
    found.sort(key=attrgetter("date"))
    records = _keep_current(found, identify_set(read_split(ws)))
    for record in found:
        if record not in records:
            why = "it is of other pictures, labels or parts, or was trained again since"
            print(f"Note: {record.name} is left out: {why}.")
    records = [each for each in records if name in ("", each.name)]
    if not records:
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model {name} of the current split: run 02_baseline_cnn "
            "(scratch), 04_resnet50_transfer (transfer) or 05_backbones (linear) first."
        )
    return records


def _keep_current(records, set_hash):
    """Return those of a split that are of the newest family of their configuration, the newest of each seed.

    The oldest record comes first, in what is given and in what is returned.
    """
    current = [each for each in records if each.split_hash == set_hash]
    families = {each.configuration: each.family for each in current}
    newest = {}
    for record in current:
        if record.family == families[record.configuration]:
            newest[record.configuration, record.seed] = record
    return list(newest.values())


def _read_records(ws):
    """Yield the record of every model; a note names a model without one."""
    # Of two of one second the first seed, whose name is the shorter, counts as the newer.
    for path in sorted(ws.results.glob("models/*.keras"), reverse=True):
        record = read_record(path)
        if record is not None:
            yield record
            continue
        print(
            f"Note: {path} is left out, since its .json is missing or damaged: copy both again, or run "
            "again the notebook that made them."
        )
