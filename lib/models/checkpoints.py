"""What is kept of a training after each epoch, and shown of it meanwhile."""

import time
import zipfile

import keras
import numpy as np

from lib.storage import require_room, whole_file
from lib.work import show_progress

HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]


class EpochLog(keras.callbacks.Callback):
    """Shows progress and, after each epoch, keeps all that is needed to go on from there.

    A checkpoint is one .npz file: every variable of model and optimizer, the states of the random
    layers among them, and the history so far. It is written whole, so a run killed at any moment
    loses at most the epoch it was in (Keras' own callbacks: see lib/README.md).
    """

    def __init__(self, path, epochs: int, train, name: str):
        super().__init__()
        self.path, self.epochs, self.train, self.name = path, epochs, train, name
        self.rows = []

    def restore(self) -> None:
        """Bring model, optimizer and history to the last kept epoch, if there is one."""
        model = self.model
        model.optimizer.build(model.trainable_variables)
        self.variables = [*model.trainable_variables, *model.non_trainable_variables]
        self.variables += model.optimizer.variables
        try:
            with np.load(self.path, allow_pickle=False) as kept:
                arrays = [kept[f"variable_{k}"] for k in range(len(self.variables))]
                self.rows = kept["history"].tolist()
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            print(f"{self.path} is damaged ({error}): {self.name} is trained from the start.")
        else:
            for variable, array in zip(self.variables, arrays):
                variable.assign(array)
            print(f"{self.name} goes on after epoch {len(self.rows)} of {self.epochs}.")
        if len(self.rows) < self.epochs:
            # For two checkpoints, an old one and its follower, and the model.
            count = 2 * sum(int(np.prod(v.shape)) for v in self.variables) + model.count_params()
            require_room(self.path.parent, 4 * count, f"the training of {self.name}")

    def on_train_begin(self, logs=None):
        total, done = self.epochs * len(self.train), len(self.rows) * len(self.train)
        self.progress = show_progress(total=total, initial=done, desc=self.name, unit="batch")

    def on_epoch_begin(self, epoch, logs=None):
        self.train.epoch = epoch
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.progress.update()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.started
        if np.isnan(logs["loss"]):
            raise FloatingPointError(
                f"{self.name}: the loss of epoch {epoch + 1} is no number. Most often the learning "
                "rate is too large: take a tenth of it; or the model divides by 0."
            )
        rows = [*self.rows, [epoch + 1, *(logs[k] for k in HISTORY_COLUMNS[1:-1]), seconds]]
        shown = {key: f"{logs[key]:.3f}" for key in ("accuracy", "val_accuracy")}
        self.progress.set_postfix(epoch=f"{epoch + 1}/{self.epochs}", **shown)
        arrays = map(keras.ops.convert_to_numpy, self.variables)
        arrays = {f"variable_{k}": array for k, array in enumerate(arrays)}
        with whole_file(self.path) as part:
            np.savez(part, history=np.array(rows), **arrays)
        self.rows = rows

    def on_train_end(self, logs=None):
        self.progress.close()
