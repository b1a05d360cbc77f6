// What the algorithms see of the problem on screen: one image, one group, as rows of windows.

import { axisTaps, outSize, source, spanOf } from "./geometry.js";

export const ALG_ITEM = 4; // bytes of a number: the page's prices are float32's

/** Return whether a layout's channels are the innermost axis in memory. */
export function algChannelsLast(problem) {
  return problem.layout.length > 1 && problem.layout.endsWith("C");
}

/**
 * Return the model of the image and group on screen, for a problem that is not transposed.
 *
 * rows windows (row-major), terms numbers in each, outs output channels. terms run over channels,
 * rows and columns of the kernel, the channels innermost where the layout has them last: as
 * npconv.unfold orders them. A row of the patch matrix is r, an entry of it k, an output o.
 */
export function algModel(state, wantedGroup = 0) {
  const { problem, x, weight, out, bias, n } = state;
  const group = Math.min(wantedGroup, problem.groups - 1);
  const [high, wide] = outSize(problem);
  const [channels, outs] = [problem.inChannels, problem.outChannels].map((c) => c / problem.groups);
  const [firstChannel, firstOut] = [group * channels, group * outs];
  const [kernelHigh, kernelWide] = problem.kernelSize;
  const down = Array.from({ length: high }, (_, i) => axisTaps(problem, 0, i));
  const across = Array.from({ length: wide }, (_, j) => axisTaps(problem, 1, j));
  const last = algChannelsLast(problem);
  const columns = algTerms(channels, kernelHigh, kernelWide, last);

  /** What entry k of window r reads: position (h, w), element (sh, sw) or -1s, its value. */
  const read = (r, k) => {
    const { c, kh, kw } = columns[k];
    const [row, column] = [down[Math.floor(r / wide)][kh], across[r % wide][kw]];
    const zero = row.s < 0 || column.s < 0;
    const value = zero ? 0 : x.at(n, firstChannel + c, row.s, column.s);
    return { c, kh, kw, h: row.p, w: column.p, sh: zero ? -1 : row.s, sw: zero ? -1 : column.s, value };
  };
  const terms = columns.length;
  const kernel = (k, o) => weight.at(firstOut + o, columns[k].c, columns[k].kh, columns[k].kw);
  // The matrix and the product are made once, when they are first asked for.
  const patches = algOnce(() =>
    Float64Array.from(
      { length: high * wide * terms },
      (_, at) => read(Math.floor(at / terms), at % terms).value,
    ),
  );
  const products = algOnce(() =>
    algProducts(
      patches(),
      columns.map((_, k) => Array.from({ length: outs }, (__, o) => kernel(k, o))),
      high * wide,
      outs,
    ),
  );
  const patch = (r, k) => patches()[r * terms + k];
  return {
    problem,
    x,
    weight,
    out,
    bias,
    n,
    group,
    high,
    wide,
    channels,
    outs,
    firstChannel,
    firstOut,
    last,
    columns,
    read,
    patch,
    kernel,
    rows: high * wide,
    terms,
    taps: kernelHigh * kernelWide,
    padded: (c, h, w) => {
      const [row, column] = [source(problem, 0, h).index, source(problem, 1, w).index];
      return row < 0 || column < 0 ? 0 : x.at(n, firstChannel + c, row, column);
    },
    product: (r, o) => products()[r * outs + o],
    written: (r, o) => out.at(n, firstOut + o, Math.floor(r / wide), r % wide),
    cell: (r) => [Math.floor(r / wide), r % wide],
  };
}

/** Return a function that makes its value at the first call. */
function algOnce(make) {
  let made = null;
  return () => {
    made ??= make();
    return made;
  };
}

/** Return the patch matrix, rows one after the other, times the weights [terms][outs]. */
function algProducts(patches, weights, rows, outs) {
  const products = new Float64Array(rows * outs);
  const terms = weights.length;
  for (let r = 0; r < rows; r += 1) {
    for (let k = 0; k < terms; k += 1) {
      const value = patches[r * terms + k];
      if (value === 0) continue;
      for (let o = 0; o < outs; o += 1) products[r * outs + o] += value * weights[k][o];
    }
  }
  return products;
}

/** Return the entries { c, kh, kw } of a row of the patch matrix, in their order. */
function algTerms(channels, high, wide, last) {
  const terms = [];
  const taps = (visit) => {
    for (let kh = 0; kh < high; kh += 1) for (let kw = 0; kw < wide; kw += 1) visit(kh, kw);
  };
  if (last) {
    taps((kh, kw) => {
      for (let c = 0; c < channels; c += 1) terms.push({ c, kh, kw });
    });
    return terms;
  }
  for (let c = 0; c < channels; c += 1) taps((kh, kw) => terms.push({ c, kh, kw }));
  return terms;
}

/**
 * Return how the padded image lies in memory: { copied, extent, first, steps, address, place, count }.
 *
 * Padding makes a copy with the zeros (or repeats) in it, cut where the last window ends; without
 * padding it is x itself. steps are the elements from one channel, row and column to the next;
 * address(c, h, w) counts elements from the image's first; place(address) is its inverse.
 */
export function algBuffer(model) {
  const { problem, high, wide, last } = model;
  const copied = problem.padding.flat().some((side) => side > 0);
  const before = problem.padding.map(([side]) => side);
  const reach = [high, wide].map((out, axis) => (out - 1) * problem.stride[axis] + spanOf(problem, axis));
  const extent = copied ? reach : problem.size;
  const first = copied ? before.map((side) => -side) : [0, 0];
  const channels = problem.inChannels;
  const steps = last
    ? { c: 1, h: extent[1] * channels, w: channels }
    : { c: extent[0] * extent[1], h: extent[1], w: 1 };
  return {
    copied,
    extent,
    first,
    steps,
    reach,
    count: channels * extent[0] * extent[1],
    origin: -(before[0] + first[0]) * steps.h - (before[1] + first[1]) * steps.w,
    address: (c, h, w) => c * steps.c + (h - first[0]) * steps.h + (w - first[1]) * steps.w,
    place: (address) => {
      const pixel = last ? Math.floor(address / channels) : address % (extent[0] * extent[1]);
      return {
        c: last ? address % channels : Math.floor(address / (extent[0] * extent[1])),
        h: Math.floor(pixel / extent[1]) + first[0],
        w: (pixel % extent[1]) + first[1],
      };
    },
  };
}
