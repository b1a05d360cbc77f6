"""The zoo: published counts, torchvision's names and first weights, and building from a file."""

import importlib
import json
import math

import numpy as np
import pytest

from npconv import ProblemError, nn

# Their functions hide the modules' names.
ALEXNET = importlib.import_module("npconv.nn.models.alexnet")
VGG = importlib.import_module("npconv.nn.models.vgg")
COUNTS = {
    "lenet5": 61_706,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "cifar_resnet": 272_474,
    "mobilenet_v2": 3_504_872,
    "small_net": 113_706,
}
# Shapes as torchvision's state_dict has them.
SHAPES = {
    "alexnet": {"features.0.weight": (64, 3, 11, 11), "classifier.6.weight": (1000, 4096)},
    "vgg16": {"features.28.weight": (512, 512, 3, 3), "classifier.0.weight": (4096, 25088)},
    "vgg16_bn": {"features.41.running_var": (512,), "classifier.6.bias": (1000,)},
    "resnet18": {
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer4.1.bn2.num_batches_tracked": (),
    },
    "resnet50": {
        "layer1.0.downsample.1.running_mean": (256,),
        "layer3.5.conv3.weight": (1024, 256, 1, 1),
        "fc.weight": (1000, 2048),
    },
    "mobilenet_v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.18.1.weight": (1280,),
        "classifier.1.weight": (1000, 1280),
    },
}
KEPT = {"alexnet": 16, "vgg16": 32, "resnet18": 122, "resnet50": 320, "mobilenet_v2": 314}


def test_every_model_is_counted():
    assert set(COUNTS) == set(nn.models.MODELS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_names_are_the_published_ones(name):
    model = nn.models.build(name, rng=nn.models.parts.UNSET)  # half a gigabyte is not needed
    assert model.parameter_count == COUNTS[name]
    state = model.state_dict()
    assert len(state) == KEPT.get(name, len(state))
    for key, shape in SHAPES.get(name, {}).items():
        assert state[key].shape == shape


def deviation(model, key):
    return float(model.state_dict()[key].std())


def test_first_weights_are_spread_as_torchvisions():
    resnet = nn.models.resnet18(rng=0)
    assert deviation(resnet, "conv1.weight") == pytest.approx(math.sqrt(2 / (64 * 49)), rel=0.05)
    middle = deviation(resnet, "layer4.1.conv2.weight")
    assert middle == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.01)
    fc = resnet.state_dict()["fc.weight"]
    assert np.abs(fc).max() == pytest.approx(1 / math.sqrt(512), rel=0.01)
    mobile = nn.models.mobilenet_v2(rng=0)
    depthwise = deviation(mobile, "features.17.conv.1.0.weight")
    assert depthwise == pytest.approx(math.sqrt(2 / (960 * 9)), rel=0.05)
    assert deviation(mobile, "classifier.1.weight") == pytest.approx(0.01, rel=0.01)
    assert not mobile.state_dict()["classifier.1.bias"].any()


def test_vgg_begins_with_biases_of_zero(monkeypatch):
    monkeypatch.setattr(VGG, "HIDDEN", 50)
    model = nn.models.vgg11(num_classes=40, rng=0)
    state = model.state_dict()
    assert not any(state[key].any() for key in state if key.endswith("bias"))
    assert all(type(array) is np.ndarray and array.flags.writeable for array in state.values())
    assert deviation(model, "features.8.weight") == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.1)
    assert deviation(model, "classifier.0.weight") == pytest.approx(0.01, rel=0.01)


SMALL = {
    "lenet5": (1, 28), "alexnet": (3, 63), "resnet18": (3, 33), "resnet50": (3, 33),
    "cifar_resnet": (3, 17), "mobilenet_v2": (3, 33),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_fixes_the_weights_and_x_stays(name, monkeypatch):
    monkeypatch.setattr(ALEXNET, "HIDDEN", 20)
    channels, side = SMALL[name]
    one, two, three = (nn.models.build(name, num_classes=4, rng=seed) for seed in (1, 1, 2))
    states = [each.state_dict() for each in (one, two, three)]
    for key, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][key])
    assert any((array != states[2][key]).any() for key, array in states[0].items())
    x = np.random.default_rng(0).standard_normal((2, channels, side, side)).astype(np.float32)
    given = x.copy()
    y = one(x)
    assert (y.shape, y.dtype) == ((2, 4), np.float32)
    np.testing.assert_allclose(y, one.forward(x, False)[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(x, given)
    assert {a.dtype for k, a in states[0].items() if "tracked" not in k} == {np.dtype("f4")}


@pytest.mark.parametrize("size", [4, 5, 8, 11, 12, 13, (28, 9), (32, 40)])
def test_lenet_takes_images_of_its_size(size):
    height, width = (size, size) if isinstance(size, int) else size
    model = nn.models.lenet5(num_classes=3, in_channels=2, image_size=size)
    assert model(np.zeros((2, 2, height, width), np.float32)).shape == (2, 3)


def test_lenet_of_the_smallest_images_learns_ten_pictures_by_heart():
    model, rng = nn.models.lenet5(image_size=8, rng=0), np.random.default_rng(0)
    x, labels = rng.standard_normal((10, 1, 8, 8)).astype(np.float32), np.arange(10)
    optimizer = nn.Adam(model, lr=0.01)
    for _ in range(40):
        scores, backprop = model.forward(x, True)
        grad = nn.CrossEntropyLoss()(scores, labels)[1]
        model.zero_grad()
        backprop(grad)
        optimizer.step()
    np.testing.assert_array_equal(model(x).argmax(1), labels)


@pytest.mark.parametrize("size", [1, 3, 4, (9,), (1,), (28, 9), (16, 16)])
def test_the_small_net_takes_images_of_its_size_and_comes_back_from_a_file(size, tmp_path):
    shape = (size, size) if isinstance(size, int) else size
    model = nn.models.build("small", num_classes=3, in_channels=2, image_size=size, rng=1)
    x = np.random.default_rng(0).standard_normal((2, 2, *shape)).astype(np.float32)
    nn.save(model, tmp_path / "m")
    y = nn.load(tmp_path / "m")(x)
    assert y.shape == (2, 3)
    np.testing.assert_array_equal(y, model(x))


def test_the_small_net_in_float64():
    state = nn.models.small_net(image_size=(5,), dtype="float64").state_dict()
    assert {a.dtype for key, a in state.items() if "tracked" not in key} == {np.dtype("f8")}


@pytest.mark.parametrize("size", [0, (4, -4), (), (1, 2, 3), "big", 7.5, None])
def test_sizes_that_the_small_net_refuses(size):
    with pytest.raises(ProblemError, match=r"small_net: image_size is(.|\n)*or \(length,\)"):
        nn.models.small_net(image_size=size)


def test_depths_of_the_small_resnet():
    assert nn.models.cifar_resnet(depth=32).parameter_count == 466_906
    for depth in (18, 2, 20.0, "20", True):
        with pytest.raises(ProblemError, match=r"cifar_resnet: depth is(.|\n)*6 n \+ 2"):
            nn.models.cifar_resnet(depth=depth)


@pytest.mark.parametrize("size", [3, (28, 3), (28,), (1, 2, 3), "big", 7.5, None])
def test_sizes_that_lenet_refuses(size):
    with pytest.raises(ProblemError, match=r"lenet5: image_size is(.|\n)*4 or more"):
        nn.models.lenet5(image_size=size)


def test_names_and_arguments_that_there_are_not():
    with pytest.raises(ProblemError, match=r"no model 'resnet81'; did you mean 'resnet18'\?"):
        nn.models.build("resnet81")
    with pytest.raises(ProblemError, match=r"(?s)no argument 'depth'.*num_classes, in_channels"):
        nn.models.build("resnet18", depth=3)
    with pytest.raises(ProblemError, match="out_features is 0"):
        nn.models.lenet5(num_classes=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_file_builds_its_model(dtype, tmp_path):
    model = nn.models.cifar_resnet(np.int64(5), depth=8, in_channels=1, rng=4, dtype=dtype)
    nn.save(model, tmp_path / "m", {"note": "mine"})
    metadata = nn.load_arrays(tmp_path / "m")[1]
    assert metadata.pop("note") == "mine"
    assert metadata.pop("npconv_model") == "cifar_resnet"
    wanted = {"num_classes": 5, "depth": 8, "in_channels": 1}
    assert json.loads(metadata["arguments"]) == wanted
    found = nn.load(tmp_path / "m")
    x = np.random.default_rng(0).standard_normal((2, 1, 9, 9)).astype(dtype)
    np.testing.assert_array_equal(found(x), model(x))
    assert found.recipe == ("cifar_resnet", wanted)


HOSTILE = {
    "no such model": ("os.system", "{}", "no model 'os.system'"),
    "a private name": ("__init__", "{}", "no model '__init__'"),
    "no JSON": ("lenet5", "{", "does not say what its model was built with"),
    "no object": ("lenet5", "[1]", "does not say"),
    "an rng": ("lenet5", '{"rng": 3}', "does not say"),
    "another argument": ("lenet5", '{"shell": "ls"}', "no argument 'shell'"),
    "the name twice": ("lenet5", '{"name": "lenet5"}', "no argument 'name'"),
    "a deep nest": ("lenet5", "[" * 100_000, "does not say"),
    "a word": ("lenet5", '{"num_classes": "ten"}', "out_features is 'ten'"),
    "too many classes": ("lenet5", '{"num_classes": 1e9}', "out_features is"),
    "a terabyte": ("lenet5", '{"num_classes": 1000000000000}', "holds fewer numbers"),
    "too large": ("lenet5", '{"image_size": 1000000}', "holds fewer numbers"),
    "too deep": ("cifar_resnet", '{"depth": 6000000002}', "holds fewer numbers"),
    "another model": ("cifar_resnet", '{"depth": 8}', "names are missing|holds fewer"),
    "a small net of words": ("small_net", '{"image_size": "big"}', "image_size is .big"),
    "a small net too large": ("small_net", '{"image_size": [1e9, 3]}', "image_size is"),
    "a vast small net": ("small_net", '{"image_size": [4000000000, 3]}', "holds fewer numbers"),
    "a small net turned inside out": ("small_net", '{"image_size": [-8, -8]}', "image_size is"),
    "fewer classes": ("lenet5", '{"num_classes": 9}', "classifier.4.weight is"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_file_says_is_checked_and_never_run(case, tmp_path):
    name, arguments, message = HOSTILE[case]
    arrays = nn.models.lenet5().state_dict()
    said = {"npconv_model": name, "arguments": arguments}
    nn.save_arrays(tmp_path / "m", arrays, said)
    with pytest.raises(ProblemError, match=message) as caught:
        nn.load(tmp_path / "m")
    assert str(tmp_path / "m") in str(caught.value)


def test_a_file_of_weights_alone_says_how_to_load_it(tmp_path):
    nn.save(nn.Sequential(nn.Linear(2, 3)), tmp_path / "m")
    with pytest.raises(ProblemError, match=r"load: .*which model(.|\n)*nn.load_weights"):
        nn.load(tmp_path / "m")
