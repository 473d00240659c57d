"""Fit with resume and progress."""

import contextlib
import hashlib
import json
import re
import shutil
import time

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import generators
from lib.data.split import identify_set
from lib.machine import find_versions
from lib.models.saved import load_model
from lib.storage import read_table, require_room, whole_file

HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]


class EpochLog(keras.callbacks.Callback):
    """Shows progress and, after each epoch, keeps all that is needed to go on from there.

    A checkpoint is one .npz file: every variable of model and optimizer, the states of the random
    layers among them, and the history so far. It is written whole, so a run killed at any moment
    loses at most the epoch it was in.
    """

    def __init__(self, path, epochs: int, train, name: str):
        super().__init__()
        self.path, self.epochs, self.train, self.name = path, epochs, train, name
        self.rows = []

    def restore(self) -> int:
        """Bring model, optimizer and history back to the last kept epoch; return its number."""
        strategy = getattr(self.model, "distribute_strategy", None)
        if strategy and self.train.batch_size % strategy.num_replicas_in_sync:
            raise ValueError(
                f"BATCH_SIZE = {self.train.batch_size} can't be divided evenly among "
                f"{strategy.num_replicas_in_sync} GPUs: give a multiple of that."
            )
        with strategy.scope() if strategy else contextlib.nullcontext():
            self.model.optimizer.build(self.model.trainable_variables)
            if self.path.exists():
                with np.load(self.path, allow_pickle=False) as kept:
                    self.rows = kept["history"].tolist()
                    for position, variable in enumerate(self._variables()):
                        variable.assign(kept[f"variable_{position}"])
                print(f"{self.name} goes on after epoch {len(self.rows)} of {self.epochs}.")
        # For two checkpoints, an old one and its follower, and the model.
        count = (
            2 * sum(int(np.prod(v.shape)) for v in self._variables()) + self.model.count_params()
        )
        require_room(self.path.parent, 4 * count, f"the training of {self.name}")
        return len(self.rows)

    def on_train_begin(self, logs=None):
        self.progress = tqdm(
            total=self.epochs * len(self.train),
            initial=len(self.rows) * len(self.train),
            desc=self.name,
            unit="batch",
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.train.epoch = epoch
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.progress.update()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.started
        self.rows.append([epoch + 1, *(logs[key] for key in HISTORY_COLUMNS[1:-1]), seconds])
        shown = {key: f"{logs[key]:.3f}" for key in ("accuracy", "val_accuracy")}
        self.progress.set_postfix(epoch=f"{epoch + 1}/{self.epochs}", **shown)
        arrays = {
            f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())
        }
        with whole_file(self.path) as part:
            np.savez(part, history=np.array(self.rows), **arrays)

    def on_train_end(self, logs=None):
        self.progress.close()

    def _variables(self) -> list:
        model = self.model
        return [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.optimizer.variables,
        ]


def fit(model, train, validation, ws, name, epochs: int, settings: dict, tensorboard=False):
    """Train a compiled model, going on from its last kept epoch when a run was cut short.

    A run goes on, and a finished one is taken from its files, only when the split, the settings
    and the layers are the same; else it starts anew. `save` removes what was kept.

    Args:
        model: compiled keras.Model.
        train, validation: `Batches`.
        ws, name: the workspace, and the name of the model in it.
        epochs: passes over the training part.
        settings: every parameter that decides the outcome, as text or numbers.
        tensorboard: whether the epochs are logged to tensorboard/<name> of the results too.

    Returns:
        One row an epoch: epoch (from 1), accuracy, loss, val_accuracy, val_loss, seconds.

    Raises:
        ValueError: the batches can't be divided evenly among several GPUs.
        OSError: checkpoints and model would find no room.
    """
    kept = ws.file("checkpoints", f"{name}-{_identify(model, ws, settings)}.npz")
    if kept.with_suffix(".finished").exists() and (ws.results / f"models/{name}.json").exists():
        return _take_finished(model, ws, name)
    log = EpochLog(kept, epochs, train, name)
    log.set_model(model)
    done = log.restore()
    # The batches shuffle themselves: the order must depend on seed and epoch alone.
    model.fit(
        generators.stream(train),
        validation_data=generators.stream(validation),
        epochs=epochs,
        initial_epoch=done,
        shuffle=False,
        verbose=0,
        callbacks=[log, *_log_to_tensorboard(ws, name, done)] if tensorboard else [log],
    )
    history = pd.DataFrame(log.rows, columns=HISTORY_COLUMNS).astype({"epoch": int})
    history.attrs["kept"] = kept.name
    return history


def _identify(model, ws, settings: dict) -> str:
    # Keras numbers the layers of a process; that a cell ran twice makes no other model.
    layers = re.sub(r"_\d+", "", json.dumps(model.get_config()))
    state = [identify_set(ws), settings, layers]
    return hashlib.sha256(json.dumps(state, default=str).encode()).hexdigest()[:16]


def _take_finished(model, ws, name: str) -> pd.DataFrame:
    print(
        f"{name} was trained before with the same pictures and settings, and is taken from there."
    )
    saved = load_model(ws, name)
    # 04 trains the head alone and saves it with its backbone.
    saved = saved if saved.name == model.name else saved.get_layer(model.name)
    model.set_weights(saved.get_weights())
    # Read as text, since a CSV reader may round.
    history = read_table(ws.results / f"history/{name}.csv").astype(float)
    history = history.astype({"epoch": int})
    history.attrs["taken"] = True
    return history


def _log_to_tensorboard(ws, name: str, done: int) -> list:
    if not find_versions(["tensorboard"]):
        raise ModuleNotFoundError("TENSORBOARD = True needs: pip install tensorboard")
    folder = ws.file("tensorboard", name)
    if not done:
        shutil.rmtree(folder, ignore_errors=True)
    return [keras.callbacks.TensorBoard(folder, write_graph=False)]
