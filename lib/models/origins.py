"""What pretrained networks were trained on, and the licence of their weights."""

import re

from lib.models.backbones import PRESET, name_network

IMAGENET = "ImageNet-1k, 1.3 million photographs (ILSVRC 2012)"
IMAGENET_21K = "ImageNet-21k, 14 million photographs, many of them of species"
IMAGENETS = f"{IMAGENET_21K}; then ImageNet-1k"
LVD_142M = (
    "LVD-142M, photographs like those of ImageNet-21k and of sets of birds and flowers among "
    "others (Oquab et al. 2024), without labels"
)
LVD_1689M = (
    "LVD-1689M, public pictures of Instagram, and ImageNet-22k (Siméoni et al. 2025), "
    "without labels"
)
SAT_493M = "SAT-493M, satellite pictures (Siméoni et al. 2025), without labels"
WEBLI = "WebLI, pictures of the web with their text (Tschannen et al. 2025)"
VIT = "github.com/google-research/vision_transformer"
# First match counts: pattern of a name, trained on, licence, source.
APPLICATIONS = (
    ("resnet.*v2", IMAGENET, "Apache-2.0", "github.com/tensorflow/models"),
    ("resnet", IMAGENET, "MIT", "github.com/KaimingHe/deep-residual-networks"),
    ("vgg", IMAGENET, "CC BY 4.0", "robots.ox.ac.uk/~vgg/research/very_deep"),
    ("densenet", IMAGENET, "BSD-3-Clause", "github.com/liuzhuang13/DenseNet"),
    ("xception", IMAGENET, "MIT", "github.com/fchollet/deep-learning-models"),
    ("inception|mobilenet|nasnet", IMAGENET, "Apache-2.0", "github.com/tensorflow/models"),
    ("efficientnet(v2|b)", IMAGENET, "Apache-2.0", "github.com/google/automl"),
    ("convnext(tiny|small)", IMAGENET, "MIT", "github.com/facebookresearch/ConvNeXt"),
    ("convnext", IMAGENETS, "MIT", "github.com/facebookresearch/ConvNeXt"),
)
PRESETS = (
    ("dinov3.*sat493m", SAT_493M, "DINOv3 License", "github.com/facebookresearch/dinov3"),
    ("dinov2", LVD_142M, "Apache-2.0", "github.com/facebookresearch/dinov2"),
    ("dinov3", LVD_1689M, "DINOv3 License", "github.com/facebookresearch/dinov3"),
    ("siglip2", WEBLI, "Apache-2.0", "github.com/google-research/big_vision"),
    ("vit.*imagenet21k", IMAGENET_21K, "Apache-2.0", VIT),
    ("vit.*imagenet", IMAGENETS, "Apache-2.0", VIT),
)
# Of species, or chosen to be like pictures of species.
NATURALISTS = re.compile(r"(^|[\W_])inat|bioclip|plantnet|ImageNet-2[12]k|birds and flowers", re.I)


def describe_origin(entry: str, weights: str) -> dict:
    """Return what is known of a network: trained_on, licence, source, note; "" where unknown.

    The note says where such pictures as a naturalist's may have been seen in training, which flatters
    a score. A `.keras` file does not tell where its weights are from.

    Args:
        entry: as `BACKBONE` in 04.
        weights: `imagenet`, `untrained` or a name, as in `Network`.
    """
    name, is_preset = name_network(entry), entry.startswith(PRESET)
    # A file, or a folder that someone calls like a preset, may be anything.
    is_file = entry.endswith(".keras") or "/" in entry or not (is_preset or weights == "imagenet")
    known, note = ("", "", ""), ""
    if weights == "untrained":
        known = ("nothing: its weights are random", "", "")
    elif not is_file:
        rows = (row for row in (PRESETS if is_preset else APPLICATIONS) if re.match(row[0], name))
        known = next(rows, ("", *known))[1:]
    if NATURALISTS.search(f"{name} {known[0]}") and weights != "untrained":
        note = "may have seen such pictures"
    return dict(zip(("trained_on", "licence", "source"), known)) | {"note": note}
