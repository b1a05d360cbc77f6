"""`npconv train`, `evaluate`, `predict`, `look` and `summary`: networks from a terminal."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from npconv import ProblemError, nn

_Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL.safetensors", help="What npconv train has written.", show_default=False
    ),
]
_Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="digits; a folder of IDX files (MNIST and its family), of CIFAR's binary batches, or "
        "with a folder for each class; or an .npz file.",
        show_default=False,
    ),
]
_LEAST_SIDE = 24
_PICTURES = {".png", ".pdf", ".svg", ".jpg"}


def train(
    data: _Data,
    model: Annotated[str, typer.Option(help="A network of npconv.nn.models.")] = "lenet",
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.")] = Path(
        "model.safetensors"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="How often all images are seen.")] = 15,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at once.")] = 32,
    learning_rate: Annotated[float, typer.Option("--lr", help="Of Adam, at its highest.")] = 3e-3,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side that pictures of class folders are resized to.")
    ] = None,
    augment: Annotated[
        bool, typer.Option(help="Shift and turn images a little at random while learning.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 0,
    resume: Annotated[
        bool, typer.Option(help="Go on with a training that was stopped, where it stood.")
    ] = False,
) -> None:
    """Train a network on images and write it to a file, with pictures of how it went.

    Beside model.safetensors come model.curves.png and model.confusion.png. Ctrl-C loses nothing:
    the same command with --resume goes on, and ends with the same weights bit for bit.
    """
    learnt, test = nn.load_data(data, size=size, seed=seed)
    if not learnt.classes:
        raise ProblemError(f"{data} has values, no classes.", where="train")
    typer.echo(f"{len(learnt):,} images to learn from, {len(test):,} to test on: {learnt}")
    learnt, test = (_enlarged(part) for part in (learnt, test))
    network = _network(model, learnt, seed)
    checkpoint = out.with_suffix(".checkpoint")
    seen = learnt.augmented(nn.RandomShift(2), nn.RandomRotation(8)) if augment else learnt
    history = nn.fit(
        network,
        seen,
        epochs,
        optimizer=nn.Adam(network, learning_rate),
        schedule=nn.CosineAnnealingLR(epochs),
        batch_size=batch_size,
        validation=test,
        seed=seed,
        checkpoint=checkpoint,
        resume=resume,
    )
    about = {"data": data, "seed": str(seed)}
    nn.Recognizer.of(network, learnt, about).save(out)
    checkpoint.unlink(missing_ok=True)
    counts = _tested(network, test)
    _save_figure(history.plot(), out.with_suffix(".curves.png"))
    picture = nn.draw_confusion(counts, test.classes)
    _save_figure(picture, out.with_suffix(".confusion.png"))
    typer.echo(f"accuracy {counts.trace() / counts.sum():.2%}".replace("%", " %"))
    typer.echo(f"written: {out}, {out.stem}.curves.png, {out.stem}.confusion.png")


def evaluate(
    model: _Model,
    data: _Data,
    confusion: Annotated[
        Path | None, typer.Option(help="Draw which class was taken for which in this file.")
    ] = None,
) -> None:
    """Try a trained network on DATA's test part: its accuracy, and that of each class."""
    recognizer = nn.Recognizer.load(model)
    seed = int(recognizer.about.get("seed", "0"))
    test = recognizer.dataset(nn.load_data(data, size=_side(recognizer), seed=seed)[1])
    counts = _tested(recognizer.model, test)
    for name, row, right in zip(test.classes, counts, counts.diagonal(), strict=True):
        if row.sum():
            typer.echo(f"{name:>12}  {right:5,} of {row.sum():5,}  {right / row.sum():7.2%}")
    typer.echo(f"accuracy {counts.trace() / counts.sum():.2%}".replace("%", " %"))
    if confusion is not None:
        _save_figure(nn.draw_confusion(counts, test.classes), confusion)


def predict(
    model: _Model,
    pictures: Annotated[list[Path], typer.Argument(metavar="IMAGE...", show_default=False)],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Every probability, as JSON.")] = False,
) -> None:
    """Say what is in pictures, and how sure that is."""
    recognizer = nn.Recognizer.load(model)
    found = recognizer.probabilities(recognizer.read(pictures))
    if as_json:
        rows = [
            {"image": str(path), "probabilities": dict(zip(recognizer.classes, each, strict=True))}
            for path, each in zip(pictures, found.astype(float).tolist(), strict=True)
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    width = max(len(str(path)) for path in pictures)
    for path, each in zip(pictures, found, strict=True):
        best = each.argsort()[::-1][:top]
        words = "   ".join(f"{recognizer.classes[i]} {each[i]:.1%}" for i in best)
        typer.echo(f"{path!s:<{width}}  {words}")


def look(
    model: _Model,
    picture: Annotated[Path, typer.Argument(metavar="IMAGE", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The picture to draw.", show_default=False)
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The class to ask about; the likeliest by default.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="The convolution of Grad-CAM; the last one by default.")
    ] = None,
) -> None:
    """Draw what a network sees in an image: filters, feature maps, gradient and Grad-CAM."""
    recognizer = nn.Recognizer.load(model)
    if label is not None and label not in recognizer.classes:
        raise ProblemError(
            f"{label!r} is none of the model's classes.",
            rule=", ".join(recognizer.classes[:20]),
            where="look",
        )
    number = None if label is None else recognizer.classes.index(label)
    shown = recognizer.input(recognizer.read([picture]))[0]
    drawn = nn.look(recognizer.model, shown, number, class_names=recognizer.classes, layer=layer)
    _save_figure(drawn, out or picture.with_suffix(".look.png"))


def summary(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A file of npconv train, or a network's name.", show_default=False
        ),
    ],
    shape: Annotated[
        str | None, typer.Option(help="Of the input: 1x3x224x224. By default the model's own.")
    ] = None,
) -> None:
    """List a network's layers, shapes, parameters, multiplications and algorithms."""
    if Path(model).exists():
        network: Any = nn.load(model)
        try:
            own: tuple[int, ...] = (1, *nn.Recognizer.load(model).shape)
        except ProblemError:
            own = (1, 3, 224, 224)
    else:
        network = nn.models.build(model)
        own = {
            "lenet5": (1, 1, 28, 28), "small_net": (1, 1, 28, 28), "cifar_resnet": (1, 3, 32, 32),
        }.get(network.recipe[0], (1, 3, 224, 224))  # fmt: skip
    typer.echo(str(nn.summary(network, own if shape is None else _parsed(shape))))


def _enlarged(data: nn.Dataset) -> nn.Dataset:
    """Return images too small for two poolings, such as the digits, a whole number larger."""
    factor = -(-_LEAST_SIDE // min(data.shape[1:]))
    if factor == 1:
        return data
    images = nn.resized(data.images, [factor * side for side in data.shape[1:]])
    return nn.Dataset(images, data.targets, data.classes, mean=data.mean, std=data.std)


def _network(name: str, data: Any, seed: int) -> Any:
    """Build a network for a dataset's images and classes."""
    known = {"num_classes": len(data.classes), "in_channels": data.shape[0]}
    if "image_size" in inspect.signature(nn.models.find(name)).parameters:
        known["image_size"] = data.shape[1:]
    return nn.models.build(name, **known, rng=seed)


def _tested(network: Any, test: Any) -> Any:
    found = nn.predict(network, test).argmax(1)
    return nn.confusion(test.targets, found, len(test.classes))


def _side(recognizer: nn.Recognizer) -> tuple[int, int]:
    return recognizer.shape[1], recognizer.shape[2]


def _parsed(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.lower().replace(",", "x").split("x"))
    except ValueError:
        raise ProblemError(f"shape {text!r} is not understood.", rule="as in 1x3x224x224") from None


def _save_figure(drawn: Any, path: Path) -> None:
    """Draw into a file, whole or not at all."""
    if path.suffix.lower() not in _PICTURES:
        raise ProblemError(f"{path} is no picture.", rule=f"one of {', '.join(sorted(_PICTURES))}")
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        drawn.savefig(temporary, dpi=130)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    typer.echo(f"drawn: {path}")
