"""JAX: the convolution and its transposes, compiled by XLA."""

from __future__ import annotations

from npconv.bench.arrays import Job, layer_arrays, operands, padding_of

from .contender import Call, Contender


def layer(job: Job) -> Call:
    """Prepare one direction of a layer; a gradient is the linear map's transpose."""
    import jax

    given = job.layer
    axes = len(given.x_shape) - 2

    def convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x,
            weight,
            window_strides=(given.stride,) * axes,
            padding=[(p, p) for p in padding_of(given)],
            rhs_dilation=(given.dilation,) * axes,
            feature_group_count=given.groups,
            precision=jax.lax.Precision.HIGHEST,
        )

    arrays = layer_arrays(given)

    def input_grad(grad_out: jax.Array, weight: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda x: convolve(x, weight), arrays.x)(grad_out)[0]

    def weight_grad(grad_out: jax.Array, x: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda weight: convolve(x, weight), arrays.weight)(grad_out)[0]

    of = {"forward": convolve, "input_grad": input_grad, "weight_grad": weight_grad}
    compiled = jax.jit(of[job.direction])
    first, second = (jax.device_put(each) for each in operands(job))
    return lambda: compiled(first, second).block_until_ready()


LAYER = {"jax": Contender("layer", "jax", layer)}
