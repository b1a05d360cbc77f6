"""The layer tables against what is published of the networks."""

import math
from dataclasses import replace

import numpy as np
import pytest

import npconv
from bench_cases import TINY, macs, out_size
from npconv.bench.arrays import batched, layer_arrays
from npconv.bench.layers import NETWORKS
from npconv.bench.options import Network


@pytest.mark.parametrize(
    ("network", "total", "layers"),
    [
        ("alexnet", 655_566_528, 5),
        ("vgg16", 15_346_630_656, 13),
        ("googlenet", 1_581_647_872, 57),
        ("resnet50", 4_087_136_256, 53),
        ("mobilenetv2", 299_494_272, 52),
    ],
)
def test_tables_have_the_published_totals(network, total, layers):
    table = NETWORKS[network]
    assert sum(layer.count * macs(layer) for layer in table) == total
    assert sum(layer.count for layer in table) == layers


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        ("alexnet", 2_468_544),
        ("vgg16", 14_710_464),
        ("googlenet", 6_998_552 - 1_025_000 - 7_280),  # less the classifier and the biases
        ("audio", 4_199_424 + 4_718_592),
        ("volumes", 27_653_184),
        ("resnet50", 23_454_912),
        ("mobilenetv2", 2_189_760),
    ],
)
def test_tables_have_the_published_weights(network, parameters):
    assert (
        sum(each.count * math.prod(each.weight_shape) for each in NETWORKS[network]) == parameters
    )


def test_mobilenet_has_its_depthwise_layers():
    depthwise = [layer for layer in NETWORKS["mobilenetv2"] if layer.groups > 1]
    assert sum(layer.count for layer in depthwise) == 17
    assert all(layer.groups == layer.x_shape[1] for layer in depthwise)


def test_image_filters_keep_the_image_size():
    for layer in NETWORKS["images"]:
        assert layer.x_shape[2:] == (1080, 1920)
        assert out_size(layer) == (1080, 1920)
        assert layer.groups == layer.x_shape[1]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_row_is_a_problem_of_its_own_that_can_be_planned(network):
    table = NETWORKS[network]
    assert len({layer.name for layer in table}) == len(table)
    assert len({replace(layer, name="", count=1) for layer in table}) == len(table)
    for layer in table:
        plan = npconv.plan(
            layer.x_shape,
            layer.weight_shape,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
        assert tuple(plan.problem.out_size) == out_size(layer)
        assert plan.problem.macs == macs(layer)


@pytest.mark.parametrize("memory_order", ["channels_first", "channels_last"])
def test_a_layers_arrays_are_the_layer(memory_order):
    arrays = layer_arrays(TINY, memory_order)
    first = layer_arrays(TINY)
    assert arrays.x.flags.c_contiguous
    assert arrays.weight.flags.c_contiguous
    expected = npconv.conv(first.x, first.weight, **first.geometry)
    found = npconv.conv(arrays.x, arrays.weight, **arrays.geometry)
    if memory_order == "channels_last":
        assert arrays.layout == "NHWC"
        assert arrays.x.shape == (1, 9, 8, 4)
        found = np.moveaxis(found, -1, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_command_offers_every_table():
    assert {network.value for network in Network} == {*NETWORKS, "all"}


def test_a_batch_is_as_many_images():
    for layers in NETWORKS.values():
        assert batched(layers[0], 8).x_shape == (8, *layers[0].x_shape[1:])
