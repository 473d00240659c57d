"""Trainings: each is done once, goes on where it was cut short, is saved and checked; `fit` stands in the lesson."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.base.work import show_progress
from lib.base.workspace import Workspace
from lib.data import generators
from lib.data.generators import Batches
from lib.models import files, keys, saved
from lib.models.checkpoint import HISTORY_COLUMNS, Checkpoint
from lib.models.networks import Network, describe_base, list_settings
from lib.models.record import Record

LOOP = (
    "write `for run in runs:`, and in its body `run.model.fit(run.train, "
    "validation_data=run.validation, epochs=EPOCHS, **run.options)`."
)


@dataclass(frozen=True)
class Run:
    """A training with one seed that isn't finished, ready for `fit`."""

    model: keras.Model  # the part that is trained, compiled
    train: Iterable  # of `generators.stream`
    validation: Iterable
    options: dict  # initial_epoch, callbacks, class_weight, shuffle and verbose


@dataclass(frozen=True)
class Trained:
    """A training that came to its end."""

    model: keras.Model  # as it was trained: pictures in, probabilities out
    # One row per epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds.
    history: pd.DataFrame
    from_files: bool  # whether an earlier run trained it


@dataclass(frozen=True)
class _Task:
    """What is to be trained, with one seed."""

    record: Record
    model: keras.Model  # the part that is trained
    whole: keras.Model  # what is saved
    batches: list[Batches]  # to train and to validate on
    class_weights: dict | None
    checkpoint: Path


def set_seed(seed: int, deterministic: bool) -> None:
    """Seed Python, numpy and Keras, so that initial weights and dropout are the same again.

    Args:
        deterministic: allow only operations that give the same bits in every run on one kind of
            machine, which may be slower. It can't be undone in a running kernel.
    """
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
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
    other: pictures, layers, first weights, what learns, how it is compiled, the source of `build`, or
    TRAIN_ANEW=1 in the environment. After its turn a model is saved, if its file answers as it does.

    Args:
        build: returns a model, RGB pictures of 0-255 to probabilities, compiled with metrics=["accuracy"];
            or a pair: the part that is trained, and the whole model.
        batches: to train and to validate on, of one split.
        ws: the workspace.
        parameters: of the notebook; EPOCHS counts and, where there, CLASS_WEIGHTS and DETERMINISTIC.
        seeds: the names of all models but the first end in @ and the seed.
        base: the network, or the record of the saved model, that the model is built on.
        facts: notebook, characteristics and purpose, as fields of the record.

    Raises:
        ValueError: the batches are not of one split. In the loop: a file would not hold the model, or
            doesn't answer as it does; `fit` is not called as above.
        FloatingPointError: in the loop: the loss is infinite or no number.
    """

    def __init__(
        self,
        build: Callable,
        batches: tuple[Batches, Batches],
        ws: Workspace,
        parameters: dict,
        seeds: Iterable[int],
        *,
        base: Network | Record | None = None,
        **facts: str,
    ):
        hashes = {part.set_hash for part in batches}
        if len(hashes) > 1 or "" in hashes:
            raise ValueError(
                "The batches don't tell of which split they are, or are of two: make them all by "
                "generators.pair, after 01_data_prep has finished."
            )
        self.build = build
        self.batches = batches
        self.ws = ws
        self.parameters = parameters
        self.seeds = seeds
        self.facts = facts | describe_base(base)
        self.facts["parameters"] = list_settings(parameters, self.facts)
        self.epochs = parameters["EPOCHS"]
        self._first = None

    @property
    def first(self) -> Trained:
        """The training with the first seed; a ValueError where no loop has finished it."""
        if self._first is None:
            raise ValueError(f"No training is finished yet: {LOOP}")
        return self._first

    def __iter__(self) -> Iterator[Run]:
        self._first = None
        for seed in self.seeds:
            set_seed(seed, self.parameters.get("DETERMINISTIC", False))
            task = self._prepare(seed)
            history = self._take(task)
            from_files = history is not None
            if not from_files:
                history = yield from self._offer(task)
                self._save(task, history)
            if self._first is None:
                self._first = Trained(task.whole, history, from_files)

    def _prepare(self, seed):
        """Build the model of one seed, and describe its training."""
        model = whole = self.build()
        if isinstance(whole, tuple):
            model, whole = whole
        files.check_saveable(whole)
        batches = [part.reseed(seed) for part in self.batches]
        train = batches[0]
        strategy = self.parameters.get("CLASS_WEIGHTS", "none")
        class_weights = generators.compute_class_weights(
            train.y_true, train.num_classes, strategy
        )
        decisive = [self.epochs, class_weights, self.parameters.get("DETERMINISTIC")]
        family = keys.make_family(model, self.build, batches, decisive)
        key = keys.make_key(
            family, seed, model, keys.mark_custom_code(model, self.build)
        )
        name = whole.name if self._first is None else f"{whole.name}@{seed}"
        record = saved.describe_model(
            whole,
            self.ws,
            name=name,
            class_names=train.class_names,
            split_hash=train.set_hash,
            seed=seed,
            family=family,
            key=key,
            **self.facts,
        )
        checkpoint = self.ws.file("checkpoints", f"{name}-{key[:16]}.npz")
        return _Task(record, model, whole, batches, class_weights, checkpoint)

    def _take(self, task):
        """Return the history of a finished training, with its weights in the model; None where it isn't."""
        name = task.record.name
        if environ.get("TRAIN_ANEW"):
            task.checkpoint.unlink(missing_ok=True)
            return None
        # Where there is a checkpoint, the same training was begun anew, and goes on.
        is_new = not list(self.ws.results.glob(f"models/{name}.[jk]*"))
        if is_new or task.checkpoint.exists():
            return None
        try:
            kept = saved.open_training(self.ws, task.record, self.epochs)
        except (OSError, ValueError) as error:
            print(f"Note: {name} is trained anew: {error}")
            return None
        model, history, date = kept
        task.whole.set_weights(model.get_weights())
        print(f"Note: {name} is taken from the training of {date}; --anew trains again")
        return history

    def _offer(self, task):
        """Yield a run, and return the history of what the body of the loop has trained."""
        name = task.record.name
        train = task.batches[0]
        checkpoint = Checkpoint(task.checkpoint, task.model, train, self.epochs)
        done = len(checkpoint.rows)
        if done:
            print(f"Note: {name} goes on after epoch {done} of {self.epochs}.")
        options = {
            "initial_epoch": done,
            "callbacks": [checkpoint],
            "class_weight": task.class_weights,
            "shuffle": False,  # The batches shuffle themselves: by seed and epoch alone.
            "verbose": 0,
        }
        bar = show_progress(
            desc=name,
            unit="batch",
            total=self.epochs * len(train),
            initial=done * len(train),
        )
        try:
            # Closed before anything else is shown, also where the body is left early.
            with bar as checkpoint.progress:
                yield Run(task.model, *map(generators.stream, task.batches), options)
        except GeneratorExit:
            print(f"Note: {name} is not saved: run the loop again, and it goes on.")
            raise
        if len(checkpoint.rows) < self.epochs:
            raise ValueError(
                f"{name} is not saved, since `fit` has not trained it for {self.epochs} epochs: {LOOP}"
            )
        history = pd.DataFrame(checkpoint.rows, columns=HISTORY_COLUMNS)
        return history.astype({"epoch": int})

    def _save(self, task, history):
        validation = task.batches[1]
        # Of a whole network a batch may need gigabytes more than the part that was trained.
        chosen = slice(0, min(validation.batch_size, 32))
        y_prob = task.model.predict_on_batch(validation.inputs[chosen])
        saved.save(
            task.whole,
            self.ws,
            replace(task.record, seconds=round(float(history.seconds.sum()), 1)),
            pictures=validation.pictures[chosen],
            y_prob=np.asarray(y_prob),
            history=history,
        )
