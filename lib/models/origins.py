"""What pretrained networks were trained on, and the licence of their weights."""

import re

from lib.models.networks import PRESET, name_network

IMAGENET = "ImageNet-1k, 1.3 million photographs (ILSVRC 2012)"
IMAGENET_21K = "ImageNet-21k, 14 million photographs, many of them of species"
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
    (
        "convnext",
        f"{IMAGENET_21K}; then ImageNet-1k",
        "MIT",
        "github.com/facebookresearch/ConvNeXt",
    ),
)
PRESETS = (
    (
        "dinov3.*sat493m",
        "SAT-493M, satellite pictures (Siméoni et al. 2025), without labels",
        "DINOv3 License",
        "github.com/facebookresearch/dinov3",
    ),
    (
        "dinov2",
        "LVD-142M, photographs like those of ImageNet-21k and of sets of birds and flowers among "
        "others (Oquab et al. 2024), without labels",
        "Apache-2.0",
        "github.com/facebookresearch/dinov2",
    ),
    (
        "dinov3",
        "LVD-1689M, public pictures of Instagram, and ImageNet-22k (Siméoni et al. 2025), without labels",
        "DINOv3 License",
        "github.com/facebookresearch/dinov3",
    ),
    (
        "siglip2",
        "WebLI, pictures of the web with their text (Tschannen et al. 2025)",
        "Apache-2.0",
        "github.com/google-research/big_vision",
    ),
    (
        "vit.*imagenet21k",
        IMAGENET_21K,
        "Apache-2.0",
        "github.com/google-research/vision_transformer",
    ),
    (
        "vit.*imagenet",
        f"{IMAGENET_21K}; then ImageNet-1k",
        "Apache-2.0",
        "github.com/google-research/vision_transformer",
    ),
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
    known = ("", "", "")
    if weights == "untrained":
        known = ("nothing: its weights are random", "", "")
    elif not entry.endswith(".keras"):
        table = PRESETS if entry.startswith(PRESET) else APPLICATIONS
        names = (row for row in table if re.match(row[0], name_network(entry)))
        known = next(names, ("", *known))[1:]
        # A file of weights, or a folder that someone calls like a preset, may be anything.
        if "/" in entry or (table is APPLICATIONS and weights != "imagenet"):
            known = ("", "", "")
    note = ""
    if NATURALISTS.search(f"{name_network(entry)} {known[0]}") and weights != "untrained":
        note = "may have seen such pictures"
    return dict(zip(("trained_on", "licence", "source"), known)) | {"note": note}
