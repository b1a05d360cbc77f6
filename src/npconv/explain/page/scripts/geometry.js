// The geometry of one convolution: its rules, its shapes, and which cell meets which.
//
// A problem is a plain object, as defaultProblem returns it. Channels, rows and columns are counted
// from 0; a position is counted from x's first element, so that the padding before x is negative.

/** The padding modes, by numpy.pad's names. */
export const MODES = ["zeros", "edge", "reflect", "symmetric", "wrap"];

/** The orders of axes that the Python call can be written for. */
export const LAYOUTS = ["NCHW", "NHWC", "CHW", "HWC", "HW", "NCW", "NWC", "CW", "WC", "W"];

/** The most that is drawn: an axis of x and of out, channels, images, cells in all; slider ends. */
export const LIMITS = {
  batch: 8, channels: 8, size: 24, kernel: 11, stride: 8, dilation: 8, padding: 12, out: 64,
  cells: 6000,
};

/** Return a new problem: a 3x3 convolution of 7x7 cells in 3 channels to 2. */
export function defaultProblem() {
  return {
    batch: 1, inChannels: 3, outChannels: 2, size: [7, 7], kernelSize: [3, 3], stride: [1, 1],
    padding: [[1, 1], [1, 1]], dilation: [1, 1], groups: 1, mode: "zeros", transposed: false,
    outputPadding: [0, 0], layout: "NCHW",
  };
}

/** Return the extent of the kernel with its holes along an axis. */
export function spanOf(problem, axis) {
  return problem.dilation[axis] * (problem.kernelSize[axis] - 1) + 1;
}

/** Return the number of cells of out along an axis. */
export function outLength(problem, axis) {
  const [before, after] = problem.padding[axis];
  const stride = problem.stride[axis];
  const size = problem.size[axis];
  const span = spanOf(problem, axis);
  if (problem.transposed) {
    return (size - 1) * stride - before - after + span + problem.outputPadding[axis];
  }
  return Math.floor((size + before + after - span) / stride) + 1;
}

/** Return the spatial size of out: [rows, columns]. */
export function outSize(problem) {
  return [outLength(problem, 0), outLength(problem, 1)];
}

/** Return x's padded length along an axis; of a transposed problem, that of the x it is adjoint to. */
export function paddedLength(problem, axis) {
  const [before, after] = problem.padding[axis];
  const length = problem.transposed ? outLength(problem, axis) : problem.size[axis];
  return length + before + after;
}

/** Return { text, before, after, span, padded, remainder, out } of an axis: the size and its sum. */
export function sizeFormula(problem, axis) {
  const [before, after] = problem.padding[axis];
  const [size, kernel] = [problem.size[axis], problem.kernelSize[axis]];
  const [stride, dilation] = [problem.stride[axis], problem.dilation[axis]];
  const out = outLength(problem, axis);
  const span = spanOf(problem, axis);
  const padded = paddedLength(problem, axis);
  const numbers = { size, kernel, stride, dilation, before, after, span, padded, out };
  const plus = (value) => (value < 0 ? `- ${-value}` : `+ ${value}`);
  const minus = (value) => (value < 0 ? `+ ${-value}` : `- ${value}`);
  if (problem.transposed) {
    const more = problem.outputPadding[axis];
    const kept = `(${size} - 1)*${stride} ${minus(before)} ${minus(after)}`;
    const text = `${kept} + ${dilation}*(${kernel} - 1) + ${more} + 1 = ${out}`;
    return { text, ...numbers, outputPadding: more, remainder: more };
  }
  const held = `${size} ${plus(before)} ${plus(after)} - ${dilation}*(${kernel} - 1) - 1`;
  const text = `floor((${held}) / ${stride}) + 1 = ${out}`;
  return { text, ...numbers, outputPadding: 0, remainder: padded - span - (out - 1) * stride };
}

/** Return x's shape: [batch, channels, rows, columns]. */
export function xShape(problem) {
  return [problem.batch, problem.inChannels, ...problem.size];
}

/** Return weight's shape: (O, I of a group, kernel); transposed it is (in, out of a group, kernel). */
export function weightShape(problem) {
  const { inChannels, outChannels, groups, kernelSize } = problem;
  return problem.transposed
    ? [inChannels, outChannels / groups, ...kernelSize]
    : [outChannels, inChannels / groups, ...kernelSize];
}

/** Return out's shape: [batch, channels, rows, columns]. */
export function outShape(problem) {
  return [problem.batch, problem.outChannels, ...outSize(problem)];
}

/** Return which element of an axis of `size` stands at a position by a padding mode; -1 is a zero. */
export function sourceIndex(mode, size, position) {
  if (position >= 0 && position < size) return position;
  if (mode === "zeros") return -1;
  if (mode === "edge") return position < 0 ? 0 : size - 1;
  const period = { wrap: size, symmetric: 2 * size, reflect: Math.max(2 * (size - 1), 1) }[mode];
  const p = ((position % period) + period) % period;
  if (mode === "wrap") return p;
  return Math.min(p, period - (mode === "symmetric" ? 1 : 0) - p);
}

/** Return { index, padded } of a position along an axis: the element of x read, -1 for a zero. */
export function source(problem, axis, position) {
  const size = problem.size[axis];
  const mode = problem.transposed ? "zeros" : problem.mode;
  return { index: sourceIndex(mode, size, position), padded: position < 0 || position >= size };
}

/** Return the channels that one of out's sees: [first, count], and of which group. */
export function groupOf(problem, o) {
  const inside = problem.inChannels / problem.groups;
  const group = Math.floor(o / (problem.outChannels / problem.groups));
  return { group, first: group * inside, count: inside };
}

/** Return weight's first two indices for x's channel c and out's channel o of the same group. */
export function weightIndex(problem, c, o) {
  return problem.transposed
    ? [c, o % (problem.outChannels / problem.groups)]
    : [o, c % (problem.inChannels / problem.groups)];
}

/** Return along an axis the taps { k, p, s } of cell i of out: position p, x's element s or -1. */
export function axisTaps(problem, axis, i) {
  const before = problem.padding[axis][0];
  const [stride, dilation] = [problem.stride[axis], problem.dilation[axis]];
  const taps = [];
  for (let k = 0; k < problem.kernelSize[axis]; k += 1) {
    if (problem.transposed) {
      const steps = i + before - k * dilation; // of the stride, from the cell of x that pours here
      const p = steps / stride;
      if (steps % stride === 0 && p >= 0 && p < problem.size[axis]) taps.push({ k, p, s: p });
    } else {
      const p = i * stride + k * dilation - before;
      taps.push({ k, p, s: source(problem, axis, p).index });
    }
  }
  return taps;
}

/** Return along an axis the { i, k } of every cell of out and tap that read element s of x. */
export function axisUses(problem, axis, s) {
  const uses = [];
  for (let i = 0; i < outLength(problem, axis); i += 1) {
    for (const tap of axisTaps(problem, axis, i)) if (tap.s === s) uses.push({ i, k: tap.k });
  }
  return uses;
}

/**
 * Return the taps that cell (i, j) of out's channel o sums, in order.
 *
 * Each is { c, kh, kw, h, w, sh, sw, wo, wc }: x's channel, the tap, the position (h, w) it stands at,
 * the element (sh, sw) of x read there (both -1 for a padded zero), weight's first two indices.
 */
export function windowOf(problem, o, i, j) {
  const rows = axisTaps(problem, 0, i);
  const columns = axisTaps(problem, 1, j);
  const { first, count } = groupOf(problem, o);
  const taps = [];
  for (let c = first; c < first + count; c += 1) {
    const [wo, wc] = weightIndex(problem, c, o);
    for (const row of rows) {
      for (const column of columns) {
        const zero = row.s < 0 || column.s < 0;
        const [sh, sw] = zero ? [-1, -1] : [row.s, column.s];
        taps.push({ c, kh: row.k, kw: column.k, h: row.p, w: column.p, sh, sw, wo, wc });
      }
    }
  }
  return taps;
}

/** Return { o, i, j, kh, kw, wo, wc } of every product that element (c, h, w) of x stands in. */
export function usesOfX(problem, c, h, w) {
  const rows = axisUses(problem, 0, h);
  const columns = axisUses(problem, 1, w);
  const outs = problem.outChannels / problem.groups;
  const first = Math.floor(c / (problem.inChannels / problem.groups)) * outs;
  const uses = [];
  for (let o = first; o < first + outs; o += 1) {
    const [wo, wc] = weightIndex(problem, c, o);
    for (const { i, k: kh } of rows) {
      for (const { i: j, k: kw } of columns) uses.push({ o, i, j, kh, kw, wo, wc });
    }
  }
  return uses;
}

/** Return { o, i, j, c, h, w, sh, sw } of every product that weight's (wo, wc, kh, kw) stands in. */
export function usesOfWeight(problem, wo, wc, kh, kw) {
  const [inside, outs] = [problem.inChannels, problem.outChannels].map((n) => n / problem.groups);
  const o = problem.transposed ? Math.floor(wo / inside) * outs + wc : wo;
  const c = problem.transposed ? wo : Math.floor(wo / outs) * inside + wc;
  const along = (axis, k) => {
    const met = [];
    for (let i = 0; i < outLength(problem, axis); i += 1) {
      for (const tap of axisTaps(problem, axis, i)) if (tap.k === k) met.push({ i, ...tap });
    }
    return met;
  };
  const columns = along(1, kw);
  const uses = [];
  for (const row of along(0, kh)) {
    for (const column of columns) {
      const zero = row.s < 0 || column.s < 0;
      const [sh, sw] = zero ? [-1, -1] : [row.s, column.s];
      uses.push({ o, i: row.i, j: column.i, c, h: row.p, w: column.p, sh, sw });
    }
  }
  return uses;
}
