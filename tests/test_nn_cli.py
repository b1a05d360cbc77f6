"""`npconv train` and what comes after it, on a few small images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from npconv import nn
from npconv.cli import app

pytest.importorskip("matplotlib")
pytest.importorskip("safetensors")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Bright pictures above, dark ones below, as class folders; and a trained model."""
    place = tmp_path_factory.mktemp("learning")
    rng = np.random.default_rng(0)
    for name, rows in (("above", slice(0, 4)), ("below", slice(4, 8))):
        (place / "images" / name).mkdir(parents=True)
        for i in range(20):
            picture = rng.integers(0, 60, (8, 8)).astype(np.uint8)
            picture[rows] += 150
            Image.fromarray(picture).save(place / "images" / name / f"{i}.png")
    made = run(
        "train", place / "images", "-o", place / "m.safetensors", "--epochs", 6, "--no-augment"
    )
    assert made.exit_code == 0, made.output
    return place, made.output


def test_train_writes_the_model_and_its_pictures(folder):
    place, output = folder
    assert "32 images to learn from, 8 to test on" in output
    assert "accuracy 100.00 %" in output
    for name in ("m.safetensors", "m.curves.png", "m.confusion.png"):
        assert (place / name).stat().st_size > 500
    assert not list(place.glob("*checkpoint*"))
    assert not list(place.glob(".*"))


def test_the_file_says_all_that_a_picture_needs(folder):
    recognizer = nn.Recognizer.load(folder[0] / "m.safetensors")
    assert recognizer.classes == ("above", "below")
    assert recognizer.shape == (1, 24, 24)
    picture = np.zeros((1, 1, 24, 24), np.uint8)
    np.testing.assert_allclose(recognizer.probabilities(picture).sum(), 1, rtol=1e-6)
    assert type(nn.load(folder[0] / "m.safetensors")).__name__ == "Sequential"


def test_a_recognizer_reads_its_file_once(folder, monkeypatch):
    read, whole = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or whole(path))
    nn.Recognizer.load(folder[0] / "m.safetensors")
    assert read == [folder[0] / "m.safetensors"]


def test_evaluate(folder, tmp_path):
    place, _ = folder
    made = run(
        "evaluate", place / "m.safetensors", place / "images", "--confusion", tmp_path / "c.png"
    )
    assert made.exit_code == 0, made.output
    assert "accuracy 100.00 %" in made.output
    assert "above      4 of     4  100.00%" in made.output
    assert (tmp_path / "c.png").exists()


def test_predict(folder):
    place, _ = folder
    pictures = [place / "images" / name / "3.png" for name in ("above", "below")]
    made = run("predict", place / "m.safetensors", *pictures, "--top", 1)
    assert [line.split()[1] for line in made.output.splitlines()] == ["above", "below"]
    found = json.loads(run("predict", place / "m.safetensors", *pictures, "--json").output)
    assert found[0]["probabilities"]["above"] > 0.5
    assert sum(found[1]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_look_and_summary(folder, tmp_path):
    place, _ = folder
    out = tmp_path / "seen.png"
    made = run(
        "look", place / "m.safetensors", place / "images/above/0.png", "-o", out, "--label", "below"
    )
    assert made.exit_code == 0, made.output
    assert out.stat().st_size > 5000
    made = run("summary", place / "m.safetensors")
    assert "lenet5 of x 1x1x24x24" in made.output
    assert "Conv2d" in made.output
    assert "61,706 parameters" in run("summary", "lenet").output
    assert "x 1x3x64x64" in run("summary", "resnet18", "--shape", "1x3x64x64").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "nowhere does not exist"),
        (
            ["train", "digits", "--model", "lenet6"],
            "there is no model 'lenet6'",
        ),
        (["look", "MODEL", "PICTURE", "--label", "left"], "'left' is none of the model's classes"),
        (["look", "MODEL", "PICTURE", "-o", "seen.txt"], "seen.txt is no picture"),
        (
            ["look", "MODEL", "PICTURE", "--layer", "conv9"],
            "'conv9' is no convolution of the model",
        ),
        (["predict", "MODEL", "nothing.png"], "nothing.png cannot be read"),
        (["evaluate", "MODEL", "digits"], "unknown to the model  0, 1, 2, 3, 4"),
        (["summary", "lenet", "--shape", "big"], "shape 'big' is not understood"),
        (["summary", "lenet6"], "there is no model 'lenet6'"),
    ],
)
def test_bad_input_is_told_in_a_sentence(folder, arguments, message):
    place, _ = folder
    known = {"MODEL": place / "m.safetensors", "PICTURE": place / "images/above/0.png"}
    made = run(*(known.get(a, a) for a in arguments))
    assert made.exit_code == 1
    assert message in made.output
    assert "Traceback" not in made.output


def test_a_model_without_classes(tmp_path):
    nn.save(nn.models.build("lenet", rng=0), tmp_path / "plain.safetensors")
    made = run("predict", tmp_path / "plain.safetensors", "x.png")
    assert "does not say what its classes are called" in made.output
