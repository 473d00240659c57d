"""Checkpoints: all that a training needs to go on after an epoch, in one file."""

import time
from pathlib import Path

import keras
import numpy as np

from lib.base.storage import atomic_write
from lib.data.generators import Batches
from lib.models.keys import describe_settings

HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]


class Checkpoint(keras.callbacks.Callback):
    """Keeps, after each epoch, all that is needed to go on from there, in one .npz file.

    These are the history and every variable of model and optimizer, the states of random layers among
    them, which Keras' own callbacks forget.

    Args:
        path: of the file; where it is there, model and optimizer are set to what it holds.
        name: of the training, which errors begin with.
        model: compiled.
        batches: to train on, which are told the epoch.
        epochs: that `fit` is to end with.
    """

    def __init__(
        self, path: Path, name: str, model: keras.Model, batches: Batches, epochs: int
    ):
        super().__init__()
        self.path = path
        self.name = name
        self.batches = batches
        self.epochs = epochs
        self.rows = []  # of the history
        self.progress = None  # a bar, which the training opens and closes
        model.optimizer.build(model.trainable_variables)
        self.variables = model.variables + model.optimizer.variables
        if path.exists():
            self._restore()
        self.built = _list_fixed(model)

    def _restore(self):
        """Set model and optimizer to what the file holds."""
        try:
            with np.load(self.path, allow_pickle=False) as kept:
                rows, *values = kept.values()
        # numpy and zipfile have several for a damaged file.
        except Exception as error:
            print(f"Note: {self.path} is damaged, so its training starts anew: {error}")
            return
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        self.rows = rows.tolist()

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Check that `fit` does what the training is known by, since afterwards it would be too late.

        Raises:
            ValueError: it would train other epochs or batches, or the model is no longer as it was built.
        """
        expected = {"epochs": self.epochs, "steps": len(self.batches)}
        if not expected.items() <= self.params.items():
            raise ValueError(
                f"{self.name}: `fit` has {self.params}, and this training {expected}: change EPOCHS or "
                "BATCH_SIZE in the cell of the parameters, and run all cells again."
            )
        if _list_fixed(self.model) != self.built:
            raise ValueError(
                f"{self.name}: the model was changed after it was built: set its layers, what learns and "
                "the learning rate in the function that builds it."
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Tell the batches the epoch; a ValueError where it doesn't follow on the last one."""
        done = len(self.rows)
        if epoch != done:
            raise ValueError(
                f"{self.name}: epoch {epoch + 1} can't follow on {done}: call `fit` once, with "
                "**run.options."
            )
        self.batches.epoch = epoch
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move the bar."""
        self.progress.update()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add a row to the history, and write the file.

        Raises:
            FloatingPointError: the loss is infinite or no number.
        """
        seconds = time.perf_counter() - self.started
        # The weights that the last step made show in the latter alone.
        for kind in ("loss", "val_loss"):
            if not np.isfinite(logs[kind]):
                raise FloatingPointError(
                    f"{self.name}: the {kind} of epoch {epoch + 1} is {logs[kind]}: take a tenth of the "
                    "learning rate."
                )
        scores = [logs[column] for column in HISTORY_COLUMNS[1:-1]]
        self.rows.append([epoch + 1, *scores, seconds])
        self.progress.set_postfix(epoch=f"{epoch + 1}/{self.epochs}", **logs)
        values = map(keras.ops.convert_to_numpy, self.variables)
        with atomic_write(self.path) as part:
            np.savez(part, self.rows, *values)


def _list_fixed(model):
    """Return what is not to change after a model was built: its optimizer and its settings."""
    return [model.optimizer, *describe_settings(model)]
