// What each algorithm spends on a problem: the formulas of npconv's cost(), for float32 and one thread.

import { algCompiledCosts } from "./alg-costs-compiled.js";
import { algChannelsLast } from "./alg-model.js";
import { outSize, spanOf } from "./geometry.js";

const ALG_FLOAT = 4; // bytes of a number
const ALG_RUN_START = 8; // elements that could have been copied in the time a run takes to begin
const ALG_POOL = 2 ** 24; // multiply-adds worth a turn at the interpreter
const ALG_TILE = 2 ** 22; // bytes of a tile
const ALG_CACHED_TILE = 2 ** 18; // the same, for taps

/**
 * Return the sizes that the formulas speak of, for a problem that is not transposed.
 *
 * batch, pixels, taps, terms (of a group), macs, inside and outs (channels and outputs of a group),
 * extent (what windows reach over), copies (whether padding makes a copy), last (channels last).
 */
export function algSizes(problem) {
  const { batch, groups, inChannels, outChannels, kernelSize, stride, padding, size } = problem;
  const out = outSize(problem);
  const [inside, outs] = [inChannels / groups, outChannels / groups];
  const taps = kernelSize[0] * kernelSize[1];
  const pixels = out[0] * out[1];
  const span = [0, 1].map((axis) => spanOf(problem, axis));
  const reach = (tile) => tile.map((n, axis) => (n - 1) * stride[axis] + span[axis]);
  return {
    batch,
    groups,
    inChannels,
    outChannels,
    kernelSize,
    stride,
    size,
    out,
    inside,
    outs,
    taps,
    pixels,
    span,
    reach,
    dilation: problem.dilation,
    padding,
    mode: problem.mode,
    terms: taps * inside,
    macs: batch * pixels * outChannels * taps * inside,
    weights: outChannels * inside * taps * ALG_FLOAT,
    copies: padding.flat().some((side) => side > 0),
    last: algChannelsLast(problem) && inChannels > 1,
    region: (tile, item = ALG_FLOAT) => {
      const [high, wide] = reach(tile.slice(1));
      return tile[0] * high * wide * inChannels * item;
    },
  };
}

/** Return the bytes of the patch matrix and of its product for a tile [images, rows, columns]. */
function algPatchBytes(s, tile) {
  const rows = tile[0] * tile[1] * tile[2];
  return [rows * s.terms * s.groups * ALG_FLOAT, rows * s.outChannels * ALG_FLOAT];
}

/** Return the bytes that could be moved while copying `nbytes` in runs of `run` elements. */
function algInRuns(nbytes, run) {
  return nbytes * (1 + ALG_RUN_START / Math.max(run, 1));
}

function algCopyBytes(s, nbytes) {
  if (!s.last) return algInRuns(nbytes, s.out[1]);
  if (s.groups > 1) return algInRuns(nbytes, s.inside);
  return algInRuns(nbytes, s.inChannels * (s.dilation[1] === 1 ? s.kernelSize[1] : 1));
}

/** Return the bytes of the weight that are copied to bring its taps before its channels, or after. */
function algWeightBytes(s, tapsFirst) {
  const mixed = s.taps > 1 && s.inside > 1;
  return mixed && tapsFirst !== s.last ? s.weights : 0;
}

/** Return a tile [images, rows, columns] of at most `limit` bytes, halved from the outside in. */
function algTileShape(s, nbytes, limit) {
  const shape = [s.batch, ...s.out];
  for (let axis = 0; axis < 3; axis += 1) {
    while (shape[axis] > 1 && nbytes(shape) > limit) shape[axis] = Math.ceil(shape[axis] / 2);
  }
  return shape;
}

function algTileCount(s, tile) {
  return [s.batch, ...s.out].reduce((count, n, axis) => count * Math.ceil(n / tile[axis]), 1);
}

const algSpend = (macs, nbytes, workspace) => ({ macs, nbytes, workspace });

const ALG_COSTS = {
  naive: (s) => {
    const padded = s.copies ? s.region([s.batch, ...s.out]) : 0;
    return algSpend(s.macs, padded, padded);
  },
  taps: (s) => {
    const padded = s.copies ? s.region([s.batch, ...s.out]) : 0;
    const product = s.batch * s.pixels * s.outChannels * ALG_FLOAT;
    const row = Math.max(s.out[1], 1);
    const each = (tile) => tile[0] * tile[1] * tile[2] * s.outChannels * ALG_FLOAT;
    const tile = algTileShape(s, each, s.macs > ALG_POOL ? ALG_CACHED_TILE : ALG_TILE);
    const apart = s.taps > 1 && s.inside > 1 && !s.last;
    const single = s.inside === 1;
    let passes = s.taps * product * (single ? 5 + 150 / Math.max(s.last ? s.outChannels : row, 1) : 4);
    if (!single)
      passes +=
        Math.floor((s.weights * s.batch * s.pixels) / row) + (apart ? 5 * algInRuns(s.weights, 1) : 0);
    return algSpend(s.macs, padded + passes, padded + (apart ? s.weights : 0) + each(tile));
  },
  im2col_loop: (s) => {
    const padded = s.copies ? s.region([s.batch, ...s.out]) : 0;
    const [patches, product] = algPatchBytes(s, [s.batch, ...s.out]);
    const weights = algWeightBytes(s, true);
    return algSpend(
      s.macs,
      padded + 2 * patches + 2 * product + algInRuns(weights, 1),
      weights + patches + Math.max(padded, product),
    );
  },
  im2col_index: (s) => {
    const padded = s.region([s.batch, ...s.out]);
    const [patches, product] = algPatchBytes(s, [s.batch, ...s.out]).map((n) => n / s.groups);
    const index = 8 * s.pixels * s.taps;
    const turns = s.inChannels > 1 && !s.last;
    const held = s.copies || turns ? padded : 0;
    const turned = s.copies && turns ? padded : 0;
    const weights = algWeightBytes(s, true);
    const group = s.groups > 1 ? padded / s.groups : 0;
    return algSpend(
      s.macs,
      padded + s.groups * (2 * patches + 2 * product + index) + algInRuns(weights, 1),
      held + Math.max(turned, group + index + patches + product + weights),
    );
  },
  im2col_view: (s) => {
    const padded = s.copies ? s.region([s.batch, ...s.out]) : 0;
    const [patches, product] = algPatchBytes(s, [s.batch, ...s.out]);
    const weights = algWeightBytes(s, s.last);
    return algSpend(
      s.macs,
      padded + 2 * algCopyBytes(s, patches) + 2 * product + algInRuns(weights, 1),
      weights + patches + Math.max(padded, product),
    );
  },
  im2col_tiled: (s) => {
    const bytes = (tile) =>
      (s.copies ? s.region(tile) : 0) + algPatchBytes(s, tile).reduce((a, b) => a + b);
    const rows = Math.floor((s.batch * s.pixels) / Math.max(s.outs, 128));
    const shares = Math.max(Math.min(rows, Math.floor(s.macs / ALG_POOL), 4), 1);
    const tile = algTileShape(
      s,
      bytes,
      Math.min(ALG_TILE, Math.floor(bytes([s.batch, ...s.out]) / shares)),
    );
    const weights = algWeightBytes(s, s.last);
    const [patches, product] = algPatchBytes(s, [s.batch, ...s.out]);
    const moved = algCopyBytes(s, patches) + product + algInRuns(weights, 1);
    return algSpend(s.macs, moved + algTileCount(s, tile) * s.region(tile), weights + bytes(tile));
  },
  ...algCompiledCosts,
};

/** The names of all algorithms, in npconv's order. */
export const ALG_NAMES = [
  "naive",
  "taps",
  "im2col_loop",
  "im2col_index",
  "im2col_view",
  "im2col_tiled",
  "toeplitz",
  "small",
  "indirect",
  "depthwise",
  "stencil",
  "winograd",
  "fft",
];

/**
 * Return { name: { macs, nbytes, workspace, near } or { whyNot } } of every algorithm.
 *
 * macs are multiply-adds; near: the bytes are a leading term, where npconv's own number depends on
 * the machine.
 */
export function algCosts(problem) {
  const sizes = algSizes(problem);
  return Object.fromEntries(ALG_NAMES.map((name) => [name, ALG_COSTS[name](sizes)]));
}
