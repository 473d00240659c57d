"""Checkpoints: all that a training needs to go on after an epoch, in one file."""

import json
import time
from os import environ
from pathlib import Path

import keras
import numpy as np

from lib.base.storage import atomic_write
from lib.data.generators import Batches
from lib.models.keys import describe_settings
from lib.models.leftovers import TOLD


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
        # One per epoch: epoch (from 1), what Keras logs, seconds.
        self.rows = []
        self.progress = None  # a bar, which the training opens and closes
        model.optimizer.build(model.trainable_variables)
        self.variables = model.variables + model.optimizer.variables
        if path.exists():
            self._go_on()
        self.built = _list_fixed(model)

    def _go_on(self):
        """Set model and optimizer to what the file holds; a note says so, or why that can't be."""
        try:
            with np.load(self.path, allow_pickle=False) as kept:
                facts, *values = kept.values()
            rows = json.loads(str(facts))["rows"]
            shapes = [value.shape for value in values]
            expected = [variable.shape for variable in self.variables]
            if shapes != expected:
                raise ValueError("it holds variables of another model")
        # numpy and zipfile have several for a damaged file.
        except Exception as error:
            print(f"Note: {self.path} is damaged, so its training starts anew: {error}")
            return
        self.rows = rows
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        print(f"Note: {self.name} goes on after epoch {len(rows)} of {self.epochs}.")

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Check that the model is as it was built; a ValueError if not."""
        if _list_fixed(self.model) != self.built:
            raise ValueError(
                f"{self.name}: the model was changed after it was built: set its layers, what learns and "
                "the learning rate in the function that builds it."
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Check that `fit` does what the training is known by, and tell the batches the epoch.

        Raises:
            ValueError: it would train other epochs or batches; afterwards it would be too late.
        """
        expected = {
            "epoch": len(self.rows),
            "epochs": self.epochs,
            "steps": len(self.batches),
        }
        given = self.params | {"epoch": epoch}
        if not expected.items() <= given.items():
            raise ValueError(
                f"{self.name}: `fit` has {given}, and this training {expected}: call it once, with "
                "**run.options, and change EPOCHS or BATCH_SIZE in the cell of the parameters alone."
            )
        self.batches.epoch = epoch
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move the bar."""
        self.progress.update()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add a row to the history, and write the file.

        Raises:
            FloatingPointError: a loss is infinite or no number.
        """
        row = {"epoch": epoch + 1} | logs
        row["seconds"] = time.perf_counter() - self.started
        # The weights that the last step made show in val_loss alone.
        if not np.isfinite(list(row.values())).all():
            raise FloatingPointError(
                f"{self.name}: epoch {epoch + 1} gives {logs}: take a tenth of the learning rate."
            )
        self.rows.append(row)
        self.progress.set_postfix(epoch=f"{epoch + 1}/{self.epochs}", **logs)
        facts = {"rows": self.rows, "told": environ.get(TOLD, "")}
        values = map(_to_numpy, self.variables)
        with atomic_write(self.path) as part:
            np.savez(part, json.dumps(facts), *values)


def _to_numpy(variable):
    """Return the values of a variable, in a type that numpy itself has: it lacks bfloat16."""
    if variable.dtype == "bfloat16":
        variable = keras.ops.cast(variable, "float32")
    return keras.ops.convert_to_numpy(variable)


def _list_fixed(model):
    """Return what is not to change after a model was built: its optimizer and its settings."""
    return [model.optimizer, *describe_settings(model)]
