"""The convolution layers of well known networks and a set of image filters, as plain data.

Shapes are channels-first with a batch of one: x is (1, C, *size) and weight is
(O, C // groups, *kernel_size). `count` is how often the very same layer occurs in the network, so
a network's total is the sum of count times the row. Fully connected layers are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Layer:
    """One convolution layer: its shapes, its geometry and how often the network holds it."""

    name: str
    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    stride: int = 1
    padding: int | tuple[int, ...] = 0
    dilation: int = 1
    groups: int = 1
    count: int = 1


def shape_text(layer: Layer) -> str:
    """Write a layer's shapes and stride in one cell, as `npconv plan` takes the shapes."""
    x = "x".join(map(str, layer.x_shape))
    weight = "x".join(map(str, layer.weight_shape))
    stride = f" s{layer.stride}" if layer.stride != 1 else ""
    return f"{x} {weight}{stride}"


# The one-tower AlexNet of Krizhevsky 2014 (arXiv:1404.5997) as torchvision has it: 224 px, conv1
# padded by 2. The two-tower network of 2012 has groups=2 and other widths.
ALEXNET = (
    Layer("conv1", (1, 3, 224, 224), (64, 3, 11, 11), stride=4, padding=2),
    Layer("conv2", (1, 64, 27, 27), (192, 64, 5, 5), padding=2),
    Layer("conv3", (1, 192, 13, 13), (384, 192, 3, 3), padding=1),
    Layer("conv4", (1, 384, 13, 13), (256, 384, 3, 3), padding=1),
    Layer("conv5", (1, 256, 13, 13), (256, 256, 3, 3), padding=1),
)

# Simonyan and Zisserman 2014 (arXiv:1409.1556), configuration D.
VGG16 = (
    Layer("conv1_1", (1, 3, 224, 224), (64, 3, 3, 3), padding=1),
    Layer("conv1_2", (1, 64, 224, 224), (64, 64, 3, 3), padding=1),
    Layer("conv2_1", (1, 64, 112, 112), (128, 64, 3, 3), padding=1),
    Layer("conv2_2", (1, 128, 112, 112), (128, 128, 3, 3), padding=1),
    Layer("conv3_1", (1, 128, 56, 56), (256, 128, 3, 3), padding=1),
    Layer("conv3_2", (1, 256, 56, 56), (256, 256, 3, 3), padding=1, count=2),
    Layer("conv4_1", (1, 256, 28, 28), (512, 256, 3, 3), padding=1),
    Layer("conv4_2", (1, 512, 28, 28), (512, 512, 3, 3), padding=1, count=2),
    Layer("conv5_1", (1, 512, 14, 14), (512, 512, 3, 3), padding=1, count=3),
)

# Szegedy et al. 2014 (arXiv:1409.4842), table 1: the size and channels that each inception gets,
# then the widths of its columns: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
INCEPTIONS = {
    "3a": (28, 192, (64, 96, 128, 16, 32, 32)),
    "3b": (28, 256, (128, 128, 192, 32, 96, 64)),
    "4a": (14, 480, (192, 96, 208, 16, 48, 64)),
    "4b": (14, 512, (160, 112, 224, 24, 64, 64)),
    "4c": (14, 512, (128, 128, 256, 24, 64, 64)),
    "4d": (14, 512, (112, 144, 288, 32, 64, 64)),
    "4e": (14, 528, (256, 160, 320, 32, 128, 128)),
    "5a": (7, 832, (256, 160, 320, 32, 128, 128)),
    "5b": (7, 832, (384, 192, 384, 48, 128, 128)),
}


def inception_layers() -> Iterator[Layer]:
    """Give the six convolutions of each inception."""
    for name, (size, channels, widths) in INCEPTIONS.items():
        one, reduce3, three, reduce5, five, pool = widths
        for part, before, width, kernel in (
            ("1x1", channels, one, 1),
            ("3x3_reduce", channels, reduce3, 1),
            ("3x3", reduce3, three, 3),
            ("5x5_reduce", channels, reduce5, 1),
            ("5x5", reduce5, five, 5),
            ("pool_proj", channels, pool, 1),
        ):
            yield Layer(
                f"inception_{name}_{part}",
                (1, before, size, size),
                (width, before, kernel, kernel),
                padding=kernel // 2,
            )


def merged(layers: Iterator[Layer]) -> tuple[Layer, ...]:
    """Give each different layer once, under its first name, with its count."""
    found: dict[Layer, Layer] = {}
    for layer in layers:
        key = replace(layer, name="", count=1)
        known = found.get(key, replace(layer, count=0))
        found[key] = replace(known, count=known.count + layer.count)
    return tuple(found.values())


GOOGLENET = (
    Layer("conv1", (1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3),
    Layer("conv2_reduce", (1, 64, 56, 56), (64, 64, 1, 1)),
    Layer("conv2", (1, 64, 56, 56), (192, 64, 3, 3), padding=1),
    *merged(inception_layers()),
)

# He et al. 2015 (arXiv:1512.03385) with the stride on the 3x3 layer ("v1.5", as torchvision).
RESNET50 = (
    Layer("conv1", (1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3),
    Layer("layer1_0_reduce", (1, 64, 56, 56), (64, 64, 1, 1)),
    Layer("layer1_0_3x3", (1, 64, 56, 56), (64, 64, 3, 3), padding=1, count=3),
    Layer("layer1_0_expand", (1, 64, 56, 56), (256, 64, 1, 1), count=4),
    Layer("layer1_1_reduce", (1, 256, 56, 56), (64, 256, 1, 1), count=2),
    Layer("layer2_0_reduce", (1, 256, 56, 56), (128, 256, 1, 1)),
    Layer("layer2_0_3x3", (1, 128, 56, 56), (128, 128, 3, 3), stride=2, padding=1),
    Layer("layer2_0_expand", (1, 128, 28, 28), (512, 128, 1, 1), count=4),
    Layer("layer2_0_shortcut", (1, 256, 56, 56), (512, 256, 1, 1), stride=2),
    Layer("layer2_1_reduce", (1, 512, 28, 28), (128, 512, 1, 1), count=3),
    Layer("layer2_1_3x3", (1, 128, 28, 28), (128, 128, 3, 3), padding=1, count=3),
    Layer("layer3_0_reduce", (1, 512, 28, 28), (256, 512, 1, 1)),
    Layer("layer3_0_3x3", (1, 256, 28, 28), (256, 256, 3, 3), stride=2, padding=1),
    Layer("layer3_0_expand", (1, 256, 14, 14), (1024, 256, 1, 1), count=6),
    Layer("layer3_0_shortcut", (1, 512, 28, 28), (1024, 512, 1, 1), stride=2),
    Layer("layer3_1_reduce", (1, 1024, 14, 14), (256, 1024, 1, 1), count=5),
    Layer("layer3_1_3x3", (1, 256, 14, 14), (256, 256, 3, 3), padding=1, count=5),
    Layer("layer4_0_reduce", (1, 1024, 14, 14), (512, 1024, 1, 1)),
    Layer("layer4_0_3x3", (1, 512, 14, 14), (512, 512, 3, 3), stride=2, padding=1),
    Layer("layer4_0_expand", (1, 512, 7, 7), (2048, 512, 1, 1), count=3),
    Layer("layer4_0_shortcut", (1, 1024, 14, 14), (2048, 1024, 1, 1), stride=2),
    Layer("layer4_1_reduce", (1, 2048, 7, 7), (512, 2048, 1, 1), count=2),
    Layer("layer4_1_3x3", (1, 512, 7, 7), (512, 512, 3, 3), padding=1, count=2),
)

# Sandler et al. 2018 (arXiv:1801.04381), width 1.0.
MOBILENETV2 = (
    Layer("conv_first", (1, 3, 224, 224), (32, 3, 3, 3), stride=2, padding=1),
    Layer("block1_depthwise", (1, 32, 112, 112), (32, 1, 3, 3), padding=1, groups=32),
    Layer("block1_project", (1, 32, 112, 112), (16, 32, 1, 1)),
    Layer("block2_expand", (1, 16, 112, 112), (96, 16, 1, 1)),
    Layer("block2_depthwise", (1, 96, 112, 112), (96, 1, 3, 3), stride=2, padding=1, groups=96),
    Layer("block2_project", (1, 96, 56, 56), (24, 96, 1, 1)),
    Layer("block3_expand", (1, 24, 56, 56), (144, 24, 1, 1), count=2),
    Layer("block3_depthwise", (1, 144, 56, 56), (144, 1, 3, 3), padding=1, groups=144),
    Layer("block3_project", (1, 144, 56, 56), (24, 144, 1, 1)),
    Layer("block4_depthwise", (1, 144, 56, 56), (144, 1, 3, 3), stride=2, padding=1, groups=144),
    Layer("block4_project", (1, 144, 28, 28), (32, 144, 1, 1)),
    Layer("block5_expand", (1, 32, 28, 28), (192, 32, 1, 1), count=3),
    Layer("block5_depthwise", (1, 192, 28, 28), (192, 1, 3, 3), padding=1, groups=192, count=2),
    Layer("block5_project", (1, 192, 28, 28), (32, 192, 1, 1), count=2),
    Layer("block7_depthwise", (1, 192, 28, 28), (192, 1, 3, 3), stride=2, padding=1, groups=192),
    Layer("block7_project", (1, 192, 14, 14), (64, 192, 1, 1)),
    Layer("block8_expand", (1, 64, 14, 14), (384, 64, 1, 1), count=4),
    Layer("block8_depthwise", (1, 384, 14, 14), (384, 1, 3, 3), padding=1, groups=384, count=4),
    Layer("block8_project", (1, 384, 14, 14), (64, 384, 1, 1), count=3),
    Layer("block11_project", (1, 384, 14, 14), (96, 384, 1, 1)),
    Layer("block12_expand", (1, 96, 14, 14), (576, 96, 1, 1), count=3),
    Layer("block12_depthwise", (1, 576, 14, 14), (576, 1, 3, 3), padding=1, groups=576, count=2),
    Layer("block12_project", (1, 576, 14, 14), (96, 576, 1, 1), count=2),
    Layer("block14_depthwise", (1, 576, 14, 14), (576, 1, 3, 3), stride=2, padding=1, groups=576),
    Layer("block14_project", (1, 576, 7, 7), (160, 576, 1, 1)),
    Layer("block15_expand", (1, 160, 7, 7), (960, 160, 1, 1), count=3),
    Layer("block15_depthwise", (1, 960, 7, 7), (960, 1, 3, 3), padding=1, groups=960, count=3),
    Layer("block15_project", (1, 960, 7, 7), (160, 960, 1, 1), count=2),
    Layer("block17_project", (1, 960, 7, 7), (320, 960, 1, 1)),
    Layer("conv_last", (1, 320, 7, 7), (1280, 320, 1, 1)),
)

# Ronneberger et al. 2015 (arXiv:1505.04597), figure 1: no padding, a 572 px image of one channel.
# Its four 2x2 up-convolutions are transposed and left out.
UNET = (
    Layer("down1_1", (1, 1, 572, 572), (64, 1, 3, 3)),
    Layer("down1_2", (1, 64, 570, 570), (64, 64, 3, 3)),
    Layer("down2_1", (1, 64, 284, 284), (128, 64, 3, 3)),
    Layer("down2_2", (1, 128, 282, 282), (128, 128, 3, 3)),
    Layer("down3_1", (1, 128, 140, 140), (256, 128, 3, 3)),
    Layer("down3_2", (1, 256, 138, 138), (256, 256, 3, 3)),
    Layer("down4_1", (1, 256, 68, 68), (512, 256, 3, 3)),
    Layer("down4_2", (1, 512, 66, 66), (512, 512, 3, 3)),
    Layer("bottom_1", (1, 512, 32, 32), (1024, 512, 3, 3)),
    Layer("bottom_2", (1, 1024, 30, 30), (1024, 1024, 3, 3)),
    Layer("up4_1", (1, 1024, 56, 56), (512, 1024, 3, 3)),
    Layer("up4_2", (1, 512, 54, 54), (512, 512, 3, 3)),
    Layer("up3_1", (1, 512, 104, 104), (256, 512, 3, 3)),
    Layer("up3_2", (1, 256, 102, 102), (256, 256, 3, 3)),
    Layer("up2_1", (1, 256, 200, 200), (128, 256, 3, 3)),
    Layer("up2_2", (1, 128, 198, 198), (128, 128, 3, 3)),
    Layer("up1_1", (1, 128, 392, 392), (64, 128, 3, 3)),
    Layer("up1_2", (1, 64, 390, 390), (64, 64, 3, 3)),
    Layer("head", (1, 64, 388, 388), (2, 64, 1, 1)),
)

# wav2vec 2.0 base (Baevski et al. 2020, arXiv:2006.11477) on one second of sound at 16 kHz.
AUDIO = (
    Layer("feature0", (1, 1, 16000), (512, 1, 10), stride=5),
    Layer("feature1", (1, 512, 3199), (512, 512, 3), stride=2),
    Layer("feature2", (1, 512, 1599), (512, 512, 3), stride=2),
    Layer("feature3", (1, 512, 799), (512, 512, 3), stride=2),
    Layer("feature4", (1, 512, 399), (512, 512, 3), stride=2),
    Layer("feature5", (1, 512, 199), (512, 512, 2), stride=2),
    Layer("feature6", (1, 512, 99), (512, 512, 2), stride=2),
    Layer("positions", (1, 768, 49), (768, 48, 128), padding=64, groups=16),
)

# C3D (Tran et al. 2014, arXiv:1412.0767): clips of 16 frames of 112 px.
VOLUMES = (
    Layer("conv1a", (1, 3, 16, 112, 112), (64, 3, 3, 3, 3), padding=1),
    Layer("conv2a", (1, 64, 16, 56, 56), (128, 64, 3, 3, 3), padding=1),
    Layer("conv3a", (1, 128, 8, 28, 28), (256, 128, 3, 3, 3), padding=1),
    Layer("conv3b", (1, 256, 8, 28, 28), (256, 256, 3, 3, 3), padding=1),
    Layer("conv4a", (1, 256, 4, 14, 14), (512, 256, 3, 3, 3), padding=1),
    Layer("conv4b", (1, 512, 4, 14, 14), (512, 512, 3, 3, 3), padding=1),
    Layer("conv5", (1, 512, 2, 7, 7), (512, 512, 3, 3, 3), padding=1, count=2),
)

# Filters on one 1080p image: grey, and colour with each channel filtered alone (depthwise).
IMAGES = (
    Layer("grey_3x3", (1, 1, 1080, 1920), (1, 1, 3, 3), padding=1),
    Layer("grey_5x5", (1, 1, 1080, 1920), (1, 1, 5, 5), padding=2),
    Layer("grey_7x7", (1, 1, 1080, 1920), (1, 1, 7, 7), padding=3),
    Layer("grey_15x15", (1, 1, 1080, 1920), (1, 1, 15, 15), padding=7),
    Layer("grey_31x31", (1, 1, 1080, 1920), (1, 1, 31, 31), padding=15),
    Layer("grey_1x9", (1, 1, 1080, 1920), (1, 1, 1, 9), padding=(0, 4)),
    Layer("grey_9x1", (1, 1, 1080, 1920), (1, 1, 9, 1), padding=(4, 0)),
    Layer("colour_3x3", (1, 3, 1080, 1920), (3, 1, 3, 3), padding=1, groups=3),
    Layer("colour_5x5", (1, 3, 1080, 1920), (3, 1, 5, 5), padding=2, groups=3),
    Layer("colour_7x7", (1, 3, 1080, 1920), (3, 1, 7, 7), padding=3, groups=3),
    Layer("colour_15x15", (1, 3, 1080, 1920), (3, 1, 15, 15), padding=7, groups=3),
    Layer("colour_31x31", (1, 3, 1080, 1920), (3, 1, 31, 31), padding=15, groups=3),
)

NETWORKS: dict[str, tuple[Layer, ...]] = {
    "alexnet": ALEXNET,
    "vgg16": VGG16,
    "googlenet": GOOGLENET,
    "resnet50": RESNET50,
    "mobilenetv2": MOBILENETV2,
    "unet": UNET,
    "audio": AUDIO,
    "volumes": VOLUMES,
    "images": IMAGES,
}
