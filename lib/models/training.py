"""Trainings: each is done once, goes on where it was cut short, is saved and checked; `fit` stands in the lesson."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import environ

import keras
import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight

from lib.base.work import show_progress
from lib.base.workspace import Workspace
from lib.data import generators
from lib.data.generators import Batches
from lib.models import keys, leftovers, saved
from lib.models.checkpoint import Checkpoint
from lib.models.record import Record, read_record, rename_family


@dataclass(frozen=True)
class Run:
    """A training with one seed, ready for `fit`."""

    model: keras.Model  # the part that is trained, compiled
    train: Iterable  # of `generators.stream`
    validation: Iterable
    options: dict  # initial_epoch, callbacks, class_weight, shuffle and verbose
    # What follows on `fit` needs these.
    whole: keras.Model  # what is saved
    record: Record
    checkpoint: Checkpoint

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds."""
        return pd.DataFrame(self.record.history)


def set_seed(seed: int, deterministic: bool) -> None:
    """Seed Python, numpy and Keras, so that initial weights and dropout are the same again.

    Args:
        deterministic: allow only operations that give the same bits in every run on one kind of
            machine, which may be slower. It can't be undone in a running kernel.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


class Runs:
    """The trainings of a model, one for each seed, which a loop fits.

    ```
    for run in runs:
        run.model.fit(run.train, validation_data=run.validation, epochs=EPOCHS, **run.options)
    run = runs.first
    ```

    The loop has a turn for each training that isn't finished. One that was cut short goes on after its
    last whole epoch, and a finished one is taken from its files, unless what decides the outcome is
    other: pictures, layers, first weights, what learns, or how it is compiled. After its turn a model is
    saved, if its file answers as it does. With TRAIN_ANEW=1 in the environment nothing counts that was
    trained before.

    Args:
        build: returns a model, RGB pictures of 0-255 to probabilities, compiled with metrics=["accuracy"];
            or a pair: the part that is trained, and the whole model.
        batches: of `generators.pair`, to train and to validate on.
        ws: the workspace.
        parameters: of the notebook; EPOCHS counts and, where there, CLASS_WEIGHTS and DETERMINISTIC.
        seeds: the names of all models but the first end in @ and the seed.
        facts: further fields of the record, such as those of `networks.describe_base`.

    Attributes:
        first: the training with the first seed; None before a loop has finished it.

    Raises:
        ValueError: EPOCHS is no number. In the loop: a file would not hold the model, or doesn't answer
            as it does; `fit` is not called as above.
        FloatingPointError: in the loop: the loss is infinite or no number.
    """

    def __init__(
        self,
        build: Callable,
        batches: tuple[Batches, Batches],
        ws: Workspace,
        parameters: dict,
        seeds: Sequence[int],
        **facts: object,
    ):
        self.build = build
        self.batches = batches
        self.ws = ws
        self.seeds = seeds
        self.facts = facts
        # As they stand in a record: seeds, network and weights have fields of their own, which name no folder.
        elsewhere = ("SEED", "SEEDS", "BACKBONE", "WEIGHTS")
        self.settings = {
            name.lower(): value
            for name, value in parameters.items()
            if name not in elsewhere
        }
        self.deterministic = parameters.get("DETERMINISTIC")
        self.epochs = parameters["EPOCHS"]
        if self.epochs == "auto":
            raise ValueError('EPOCHS "auto" is for 04: write a number, say 20.')
        self.class_weights = None
        if parameters.get("CLASS_WEIGHTS") == "balanced":
            # Every class counts as much as any other (King and Zeng 2001).
            y_true = batches[0].y_true
            weights = compute_class_weight(
                "balanced", classes=np.unique(y_true), y=y_true
            )
            self.class_weights = dict(enumerate(weights.tolist()))
        self.first = None

    def __iter__(self) -> Iterator[Run]:
        self.first = None
        for seed in self.seeds:
            set_seed(seed, self.deterministic)
            run = self._prepare(seed)
            record = self._take(run)
            if record is None:
                record = yield from self._offer(run)
            self.first = self.first or replace(run, record=record)

    def _prepare(self, seed):
        """Build the model of one seed, and what `fit` needs for it."""
        model = whole = self.build()
        if isinstance(whole, tuple):
            model, whole = whole
        saved.check_saveable(whole)
        keys.tell_training_code(model)
        train, validation = self.batches
        train = replace(train, seed=seed)
        identity = self._identify(model, whole, seed)
        name = whole.name if self.first is None else f"{whole.name}@{seed}"
        record = saved.describe_model(
            whole,
            name=name,
            class_names=train.part.class_names,
            split_hash=train.part.set_hash,
            parameters=self.settings,
            **identity,
            **self.facts,
        )
        path = self.ws.file("checkpoints", f"{name}-{record.key[:16]}.npz")
        if environ.get("TRAIN_ANEW"):
            path.unlink(missing_ok=True)
        checkpoint = Checkpoint(path, name, model, train, self.epochs)
        options = {
            "initial_epoch": len(checkpoint.rows),
            "callbacks": [checkpoint],
            "class_weight": self.class_weights,
            "shuffle": False,  # The batches shuffle themselves: by seed and epoch alone.
            "verbose": 0,
        }
        streams = map(generators.stream, [train, validation])
        return Run(model, *streams, options, whole, record, checkpoint)

    def _identify(self, model, whole, seed, jit_compile=False):
        """Make the keys of the training with one seed, as fields of its record."""
        decisive = [self.epochs, self.class_weights, self.deterministic]
        batches = [replace(self.batches[0], seed=seed), self.batches[1]]
        return keys.make_keys(model, whole, batches, decisive, seed, jit_compile)

    def _take(self, run):
        """Return the record of the training if it is finished, or None; a note says so."""
        name = run.record.name
        path = self.ws.results / f"models/{name}.keras"
        # Where there is a checkpoint, the same training was begun anew, and goes on.
        is_begun = run.checkpoint.path.exists()
        if environ.get("TRAIN_ANEW") or is_begun or read_record(path) is None:
            return None
        kept = self._open_finished(path, run)
        if kept is None:
            print(
                f"Note: {name} is trained anew: its pictures, layers or settings were others, an earlier version "
                "trained it, or its file is missing or damaged."
            )
            return None
        print(
            f"Note: {name} is taken from the training of {kept.date}, so `fit` is not called, whatever it is "
            "given; --anew trains again"
        )
        return kept

    def _open_finished(self, path, run):
        """Set the weights to those of a file, and return its record; None where it is of another training."""
        try:
            model, kept = saved.open_model(path)
        except ValueError:  # missing or damaged
            return None
        identity = {"key": run.record.key, "family": run.record.family}
        # Of an earlier version, where there was a GPU.
        former = self._identify(run.model, run.whole, run.record.seed, True)
        if kept.key == former["key"]:
            kept = rename_family(self.ws, kept, identity)
        if kept.key != run.record.key:
            return None
        run.whole.set_weights(model.get_weights())
        return kept

    def _offer(self, run):
        """Yield a run, save its model, checked on some pictures, and return its record.

        A ValueError where the body of the loop has not trained it to its end.
        """
        name = run.record.name
        checkpoint = run.checkpoint
        steps = len(checkpoint.batches)
        bar = show_progress(
            desc=name,
            unit="batch",
            total=self.epochs * steps,
            initial=len(checkpoint.rows) * steps,
        )
        # Closed before anything else is shown, also where the body is left early.
        with bar as checkpoint.progress:
            yield run
        if len(checkpoint.rows) < self.epochs:
            raise ValueError(
                f"{name} is not saved, since `fit` has not trained it for {self.epochs} epochs: write "
                "`for run in runs:`, and in its body `run.model.fit(run.train, "
                "validation_data=run.validation, epochs=EPOCHS, **run.options)`."
            )
        history = checkpoint.rows
        seconds = sum(row["seconds"] for row in history)
        validation = self.batches[1]
        record = saved.save(
            run.whole,
            self.ws,
            replace(run.record, history=history, seconds=round(seconds, 1)),
            pictures=validation.part.pictures[:32],
            y_prob=run.model.predict_on_batch(validation.inputs[:32]),
        )
        self.ws.save_table(pd.DataFrame(record.history), f"history/{name}.csv")
        leftovers.remove_of(self.ws, name)
        return record
