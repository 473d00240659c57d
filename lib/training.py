"""Fit with resume and progress, save, load, predict."""

import contextlib
import hashlib
import json
import re
import shutil
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from lib.data import generators
from lib.data.split import identify_set, read_split
from lib.machine import describe_environment, find_versions, query_gpus
from lib.storage import read_table, require_room, whole_file

HISTORY_COLUMNS = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss", "seconds"]
CPU_FLAGS = Path("/proc/cpuinfo")
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "pillow", "scikit-learn")


def set_seed(seed: int, deterministic: bool) -> None:
    """Seed Python, numpy and Keras; leave nothing to the order of threads where asked.

    Args:
        seed: the same seed gives the same initial weights and dropout.
        deterministic: use only operations that give the same bits in every run on one kind of
            machine, which may be slower. It can't be undone in a running kernel.
    """
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def set_precision(precision: str) -> str:
    """Choose what the layers that are built from now on compute in; weights stay float32.

    Args:
        precision: "float32"; or "auto": float16 on a GPU with tensor cores, bfloat16 on a CPU that
            has it and multiplies faster in it, else float32.

    Returns:
        The name of the Keras policy that was set.

    Raises:
        ValueError: precision is neither.
    """
    if precision not in ("float32", "auto"):
        raise ValueError(f'PRECISION is {precision!r}; it is "float32" or "auto".')
    policy = "float32"
    if precision == "auto":
        gpus = query_gpus("compute_cap")
        if gpus:
            # Tensor cores came with compute capability 7.0.
            policy = "mixed_float16" if min(map(float, gpus)) >= 7 else policy
        elif CPU_FLAGS.exists() and "bf16" in CPU_FLAGS.read_text() and is_bfloat16_faster():
            policy = "mixed_bfloat16"
    keras.config.set_dtype_policy(policy)
    return policy


def is_bfloat16_faster() -> bool:
    """Tell whether this machine multiplies matrices faster in bfloat16 than in float32.

    To have instructions for it is not enough: of two CPUs with AVX-512 BF16, one trained the
    baseline CNN 1.6 times as fast in it (an AMD EPYC), the other 0.75 times (an Intel Xeon).
    """
    fastest = {}
    for dtype in ("float32", "bfloat16"):
        square, seconds = keras.ops.ones((1024, 1024), dtype), []
        for _ in range(5):
            started = time.perf_counter()
            keras.ops.convert_to_numpy(keras.ops.matmul(square, square)[:1])
            seconds.append(time.perf_counter() - started)
        fastest[dtype] = min(seconds)
    return fastest["bfloat16"] < fastest["float32"]


def use_all_gpus():
    """Return the scope to build and compile a model in: all GPUs where there are several.

    Each step's batch is divided among the GPUs, so its size and the result stay the same.
    """
    if len(query_gpus("name")) < 2 or keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.distribute.MirroredStrategy().scope()


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


def save(model, history: pd.DataFrame, ws, name: str, about: dict) -> None:
    """Save a model with its history and its JSON; the JSON, written last, makes it complete.

    A training that `fit` took from its files is left there as it is.

    Args:
        model: keras.Model that takes RGB pictures of 0-255 and gives probabilities.
        history: as `fit` returns it.
        ws: the workspace.
        name: of the files.
        about: what the JSON tells besides counts, versions and the split's hash.
    """
    if "taken" in history.attrs:
        # The files tell of the machine that the training ran on.
        return
    description = ws.file("models", f"{name}.json")
    description.unlink(missing_ok=True)
    # Of the model that this one replaces.
    (ws.results / f"predictions/{name}.csv").unlink(missing_ok=True)
    ws.save_table(history, f"history/{name}.csv")
    with whole_file(path := ws.file("models", f"{name}.keras")) as part:
        _copy_plain(model).save(part)
    made = {"name": name} | about | _describe_making(model, history, path)
    made |= {"class_names": sorted(set(read_split(ws).label)), "demo": ws.is_demo}
    ws.save_json(made | {"split_hash": identify_set(ws)}, f"models/{name}.json")
    for kept in ws.results.glob(f"checkpoints/{name}-*"):
        kept.unlink()
    if "kept" in history.attrs:
        ws.file("checkpoints", history.attrs["kept"]).with_suffix(".finished").touch()


def _describe_making(model, history: pd.DataFrame, path: Path) -> dict:
    return {
        "parameters_total": model.count_params(),
        "parameters_trainable": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "file_hash": _hash_file(path),
        "backend": keras.backend.backend(),
        "versions": find_versions(PACKAGES),
        "hardware": describe_environment().splitlines()[-1],
        "seconds": round(float(history.seconds.sum()), 1),
    }


def _copy_plain(model) -> keras.Model:
    # A copy that was never compiled leaves the optimizer's state, twice the weights, out, and one
    # that computes in float32 runs anywhere.
    config = json.dumps(model.get_config()).replace(keras.config.dtype_policy().name, "float32")
    plain = type(model).from_config(json.loads(config))
    plain.set_weights(model.get_weights())
    return plain


def list_models(ws) -> list[dict]:
    """Read the JSON of every model of the current split, in the order of the notebooks.

    A model of another split can't be compared with the others: it is named and left out. Each
    entry gets a `label` for tables and figures, which says so when a backbone is untrained.

    Raises:
        FileNotFoundError: no model of this split was trained.
    """
    split_hash = identify_set(ws)
    models = []
    for path in sorted(ws.results.glob("models/*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["split_hash"] != split_hash:
            print(
                f"{about['name']} is left out: it was trained on other pictures or another split; train it again."
            )
            continue
        untrained = about["weights"] == "untrained"
        models.append(about | {"label": about["name"] + " (untrained backbone)" * untrained})
    if not models:
        raise FileNotFoundError(
            f"{ws.results / 'models'} has no model of the current split. "
            "Run 02_baseline_cnn, 03_augmented_cnn or 04_resnet50_transfer first."
        )
    return sorted(models, key=lambda about: (about["notebook"], about["name"]))


def load_model(ws, name: str) -> keras.Model:
    """Load a saved model: RGB pictures (n, size, size, 3) of 0-255 in, probabilities out.

    Raises:
        ValueError: the file is not the one that the model's JSON tells of.
    """
    path = ws.results / "models" / f"{name}.keras"
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if about.get("file_hash", "") not in ("", found := _hash_file(path)):
        raise ValueError(
            f"{path} has the hash {found}, and {path.with_suffix('.json').name} tells of "
            f"{about['file_hash']}: it was changed or replaced. Run {about['notebook']} again."
        )
    return keras.saving.load_model(path, safe_mode=True)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def predict(model, batches) -> tuple[np.ndarray, np.ndarray]:
    """Gather labels and probabilities in one pass, so that they belong together.

    Args:
        model: keras.Model.
        batches: `Batches` in fixed order; the last may be smaller.

    Returns:
        y_true: int64 (n,), positions of the classes.
        y_prob: float32 (n, classes), rows sum to 1.
    """
    y_true, y_prob = [], []
    for index in tqdm(range(len(batches)), desc=f"predicting with {model.name}", unit="batch"):
        images, one_hot = batches[index]
        y_true.append(one_hot.argmax(axis=1))
        y_prob.append(np.asarray(model.predict_on_batch(images), dtype=np.float32))
    return np.concatenate(y_true), np.concatenate(y_prob)
