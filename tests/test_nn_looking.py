"""What a model sees: watching it changes nothing, and what is seen is what is computed."""

import numpy as np
import pytest

from npconv import ProblemError, nn
from npconv.nn.watching import Seen

pytest.importorskip("matplotlib")


def model(classes=4, seed=0, inplace=True):
    """Two convolutions, one of them within a residual, and a score for each class."""
    body = nn.Sequential(nn.Conv2d(5, 5, 3, padding=1, rng=seed), nn.ReLU(inplace))
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1, rng=seed),
        nn.ReLU(inplace),
        nn.Residual(body),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, classes, rng=seed),
    ).astype("float64")


@pytest.fixture
def image():
    return np.random.default_rng(1).standard_normal((2, 8, 9))


def test_maps_and_scores_are_the_model_s_own(image):
    net = model()
    seen = Seen(net, image)
    np.testing.assert_allclose(seen.score, net(image[None])[0])
    assert list(seen.maps) == ["0", "2.body.0"]
    np.testing.assert_allclose(seen.maps["0"], net[0](image[None])[0])
    assert seen.label == seen.score.argmax()
    assert seen.probabilities.sum() == pytest.approx(1)


def test_the_gradient_of_a_score_by_differences(image):
    net, step = model(), 1e-6
    found = Seen(net, image, 3).input_grad
    for place in [(0, 0, 0), (1, 4, 4), (1, 7, 8)]:
        change = np.zeros_like(image)
        change[place] = step
        ahead, behind = (net((image + s * change)[None])[0, 3] for s in (1, -1))
        assert found[place] == pytest.approx((ahead - behind) / (2 * step), rel=1e-5, abs=1e-9)


def test_grad_cam_is_its_definition(image):
    net = model()
    seen = Seen(net, image, 1)
    middle = net[0](image[None])
    weights = seen.grads["0"].mean((1, 2))
    cam = np.maximum(sum(w * m for w, m in zip(weights, middle[0], strict=True)), 0)
    np.testing.assert_allclose(seen.grad_cam("0"), cam / cam.max())
    last = seen.grad_cam()
    assert last.shape == (8, 9)
    assert 0 <= last.min() <= last.max() <= 1


def test_the_model_is_as_it_was(image):
    net = model()
    before = {name: array.copy() for name, array in net.state_dict().items()}
    Seen(net, image)
    assert all(each.grad is None for each in net.parameters())
    assert [type(layer) for layer in net] == [type(layer) for layer in model()]
    assert all(np.array_equal(before[name], array) for name, array in net.state_dict().items())


def test_what_cannot_be_looked_at(image):
    with pytest.raises(ProblemError, match="0 convolutions"):
        nn.look(nn.Sequential(nn.Flatten()), image)
    with pytest.raises(ProblemError, match=r"the image is \(1, 2, 8, 9\)"):
        nn.look(model(), image[None])
    with pytest.raises(ProblemError, match="label is 4, the model has 4 classes"):
        nn.look(model(), image, 4)
    with pytest.raises(ProblemError, match="'fc' is no convolution"):
        nn.look(model(), image, layer="fc")
    with pytest.raises(ProblemError, match="not a score for each class"):
        nn.look(nn.Sequential(nn.Conv2d(2, 3, 3)), image)


def test_the_picture(image, tmp_path):
    drawn = nn.look(model(), image, class_names="abcd")
    drawn.savefig(tmp_path / "look.png")
    texts = {
        text.get_text() for part in drawn.subfigs for axes in part.axes for text in [axes.title]
    }
    assert "probabilities" in texts
    assert any(text.startswith("Grad-CAM for") for text in texts)


def test_confusion():
    counts = nn.confusion([0, 0, 1, 2], [0, 2, 1, 2], 4)
    assert counts.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    drawn = nn.draw_confusion(counts, ["cat", "dog", "hen", "cow"])
    assert drawn.axes[0].get_title() == "75.00% of 4 right"
    with pytest.raises(ProblemError, match=r"targets are \(2,\), predicted \(1,\)"):
        nn.confusion([0, 1], [0])
    with pytest.raises(ProblemError, match="classes go from 0 to 3"):
        nn.confusion([0, 3], [0, 1], 3)
