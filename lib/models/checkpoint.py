"""Checkpoints: all that a training needs to go on after an epoch, in one file."""

import time

import keras
import numpy as np

from lib.storage import atomic_write

HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]


class Checkpoint(keras.callbacks.Callback):
    """Keeps, after each epoch, all that is needed to go on from there, in one .npz file.

    These are every variable of model and optimizer, the states of random layers among them, which Keras'
    own callbacks forget, and the history.
    """

    def __init__(self, path, model, train):
        super().__init__()
        self.path, self.train, self.rows, self.progress = path, train, [], None
        model.optimizer.build(model.trainable_variables)
        self.variables = [*model.variables, *model.optimizer.variables]
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                for place, variable in enumerate(self.variables):
                    variable.assign(kept[f"variable_{place}"])
                self.rows = kept["history"].tolist()

    def on_epoch_begin(self, epoch, logs=None):
        self.train.epoch, self.started = epoch, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.progress.update()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.started
        if np.isnan(logs["loss"]):
            name, remedy = (
                self.path.stem.rpartition("-")[0],
                "take a tenth of the learning rate",
            )
            raise FloatingPointError(
                f"{name}: the loss of epoch {epoch + 1} is no number: {remedy}."
            )
        self.rows.append(
            [epoch + 1, *(logs[key] for key in HISTORY_COLUMNS[1:-1]), seconds]
        )
        shown = {key: f"{logs[key]:.3f}" for key in ("accuracy", "val_accuracy")}
        self.progress.set_postfix(epoch=f"{epoch + 1}/{self.params['epochs']}", **shown)
        arrays = {
            f"variable_{k}": np.asarray(variable)
            for k, variable in enumerate(self.variables)
        }
        with atomic_write(self.path) as part:
            np.savez(part, history=np.array(self.rows), **arrays)
