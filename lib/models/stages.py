"""The stages of a network: found by its structure, unfrozen from the top, cut apart below."""

from dataclasses import dataclass

import keras
import numpy as np

# A stage begins where maps lose at least a third of their side: halving may round up.
STEP = 1.5


@dataclass(frozen=True)
class Stage:
    """Layers of a network that belong together."""

    start: keras.KerasTensor  # what enters them; the same one for blocks that lie in one layer
    layers: list  # layers and operations, in the order of computation
    further: tuple = ()  # weights that the one layer which holds all blocks owns itself

    @property
    def weights(self) -> list:
        """All weights of the layers, as Keras variables."""
        return [*self.further, *(w for one in self.layers for w in getattr(one, "weights", []))]

    @property
    def parameters(self) -> int:
        """How many numbers these weights hold."""
        return sum(int(np.prod(weight.shape)) for weight in self.weights)


class Still(keras.Layer):
    """Runs a network in inference mode, also while the model around it trains.

    Keras hands `training=True` down to models within: dropout in them would be at work.
    """

    def __init__(self, network: keras.Model):
        super().__init__()
        self.network = network

    def call(self, inputs):
        """Run the network."""
        return self.network(inputs, training=False)

    def get_config(self):
        """Describe the network: what is trained has a key, and is never loaded."""
        return super().get_config() | {"network": self.network.get_config()}


def find_backbone(model: keras.Model) -> keras.Model:
    """Return the largest model below a model's head, its last layer; a ValueError if none is."""
    within = [layer for layer in model.layers[:-1] if isinstance(layer, keras.Model)]
    if not within:
        raise ValueError(f"{model.name} holds no other model, so it has no backbone.")
    return max(within, key=lambda one: one.count_params())


def find_stages(model: keras.Model) -> list[Stage]:
    """Divide the backbone within a model into stages, the lowest first; each layer is in one.

    A network can be cut where a single tensor leads on. A stage begins where maps become smaller,
    or with a block that holds attention. Where maps become smaller within a block, it begins with
    that block: behind the last place where branches meet, where the tensor is smallest.

    A ValueError where there is no backbone, or it has several inputs or outputs.
    """
    return _divide(_open_backbone(model)[0])


def unfreeze(model: keras.Model, stages: list[Stage]) -> None:
    """Let these stages and what stands on the backbone learn, and nothing else.

    Batch normalisation stays as it is: its statistics, its scale and its shift.
    """
    backbone = find_backbone(model)
    for layer in model._flatten_layers():
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    learning = {id(weight) for stage in stages for weight in stage.weights}
    for variable in backbone.trainable_variables:
        variable.trainable = id(variable) in learning


def hold_still(model: keras.Model) -> keras.Model:
    """Return a model of the same layers whose backbone infers, even while it learns."""
    _, entering, leaving = _open_backbone(model)
    on_top = keras.Model(leaving, model.outputs[0])
    return keras.Model(model.inputs[0], on_top(Still(find_backbone(model))(entering)))


def cut_in_two(model: keras.Model, count: int) -> tuple[keras.Model, keras.Model]:
    """Cut a model in two before the last `count` stages; the halves share its layers.

    The first leads to the maps at the cut, the second from those to what `hold_still` gives.
    """
    flat, entering, leaving = _open_backbone(model)
    start = _divide(flat)[-count].start
    below = keras.Model(flat.inputs[0], start)(entering)
    maps = keras.Input(start.shape[1:], name="maps")
    above = Still(keras.Model(start, flat.outputs[0]))(maps)
    on_top = keras.Model(leaving, model.outputs[0])
    return keras.Model(model.inputs[0], below), keras.Model(maps, on_top(above))


def _open_backbone(model) -> tuple:
    # In a graph of its own, with the shapes that it has here; what goes into it and comes out.
    backbone = find_backbone(model)
    (node,) = [n for n in sum(model._nodes_by_depth.values(), []) if n.operation is backbone]
    if len(node.input_tensors) + len(node.output_tensors) > 2:
        problem = "its backbone has several inputs or outputs, so it can't be cut into stages."
        raise ValueError(f"{model.name}: {problem}")
    entering, leaving = node.input_tensors[0], node.output_tensors[0]
    start = keras.Input(entering.shape[1:])
    return keras.Model(start, backbone.call(start, training=False)), entering, leaving


def _divide(flat) -> list[Stage]:
    parts = _cut_everywhere(flat)
    starts, side = [0], np.inf
    for place, (layers, end, _) in enumerate(parts):
        smaller = len(end.shape) == 4 and end.shape[1] * STEP <= side
        begun = _learns(parts[starts[-1] : place])
        if smaller and begun:
            starts.append(_step_back(parts, starts[-1], place))
        elif begun and any(map(_has_attention, layers)):
            starts.append(place)
        side = end.shape[1] if smaller else side
    if len(starts) > 1 and not _learns(parts[starts[-1] :]):
        starts.pop()
    stages = []
    for first, last in zip(starts, [*starts[1:], len(parts)]):
        start = parts[first - 1][1] if first else flat.inputs[0]
        stages += _divide_stack(start, [one for part in parts[first:last] for one in part[0]])
    return stages


def _cut_everywhere(flat) -> list[tuple]:
    # Of each part: its layers, the one tensor that leaves it, and whether branches meet in it.
    depths = flat._nodes_by_depth
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    needed = {id(t): place for place, node in enumerate(nodes) for t in node.input_tensors}
    needed[id(flat.outputs[0])] = len(nodes)
    parts, layers, meet, alive = [], [], False, []
    for place, node in enumerate(nodes):
        layers.append(node.operation)
        is_meeting = type(node.operation).__name__ in ("Add", "Concatenate")
        meet |= is_meeting and len(node.input_tensors) > 1
        alive = [t for t in [*alive, *node.output_tensors] if needed.get(id(t), -1) > place]
        if len(alive) == 1:
            parts.append((layers, alive[0], meet))
            layers, meet = [], False
    return parts


def _learns(parts) -> bool:
    # To scale pixels is nothing to learn.
    return any(
        getattr(one, "weights", []) and not isinstance(one, keras.layers.Normalization)
        for layers, _, _ in parts
        for one in layers
    )


def _step_back(parts, first: int, place: int) -> int:
    meeting = max((k for k in range(first, place) if parts[k][2]), default=place - 1)
    # Padding and pooling are better done before the cut.
    while place < len(parts) and not _learns(parts[place : place + 1]):
        place += 1
    ends = reversed(range(meeting, place))
    return 1 + min(ends, key=lambda end: np.prod(parts[end][1].shape[1:]))


def _has_attention(layer) -> bool:
    layers = layer._flatten_layers() if isinstance(layer, keras.Layer) else []
    return any("Attention" in type(one).__name__ for one in layers)


def _divide_stack(start, layers: list) -> list[Stage]:
    # Some transformers hold all their blocks in one layer, with weights of its own.
    for place, layer in enumerate(layers):
        within = getattr(layer, "_layers", [])
        blocks = [k for k, one in enumerate(within) if _has_attention(one)]
        if len(blocks) > 1:
            listed = [*layers[:place], *within, *layers[place + 1 :]]
            bounds = [0, *(place + k for k in blocks[1:]), len(listed)]
            lowest, *others = [listed[one:two] for one, two in zip(bounds, bounds[1:])]
            own = (*layer._trainable_variables, *layer._non_trainable_variables)
            return [Stage(start, lowest, own), *(Stage(start, one) for one in others)]
    return [Stage(start, layers)]
