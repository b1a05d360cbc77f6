// The same for algorithms whose kernels are compiled: where npconv's number depends on the machine's
// vectors and caches, its leading term.

import { algFastLength } from "./alg-fourier.js";

const ALG_LANES = 16; // numbers that a vector of 512 bits holds
const ALG_LINE = 13; // pixels of a tile of registers
const ALG_ADDRESS = 8; // bytes
const ALG_STORED = 8; // products of a sum that take as long as it takes to store it
const ALG_SINGLE = 4; // bytes of a number
const ALG_COMPLEX = 16; // bytes of a number of a spectrum

const algBytes = (...sizes) => sizes.reduce((product, n) => product * n, ALG_SINGLE);
const algAll = (s) => [
  algBytes(s.batch, s.inChannels, ...s.size),
  algBytes(s.batch, s.outChannels, s.pixels),
];
const algTurnedBytes = (s) =>
  s.last
    ? 0
    : algAll(s).reduce(
        (sum, nbytes, at) => sum + ((at ? s.outChannels : s.inChannels) > 1 ? nbytes : 0),
        0,
      );

/** By name, the cost or the reason why not, of algSizes' sizes; see algCosts. */
export const algCompiledCosts = {
  toeplitz: (s) => {
    if (Math.max(...s.kernelSize) === 1)
      return { whyNot: "a 1x1 kernel has no band; it is one matmul already" };
    const along = s.kernelSize[0] > s.kernelSize[1] ? 0 : 1;
    const rows = s.taps / s.kernelSize[along];
    const block = Math.min(32, s.out[along]);
    const reach = (block - 1) * s.stride[along] + s.span[along];
    const blocks = s.batch * s.out[1 - along] * Math.ceil(s.out[along] / block);
    const matrices = algBytes(rows, s.inside, reach, block, s.outChannels);
    const lines = (s.out[1 - along] - 1) * s.stride[1 - along] + s.span[1 - along];
    const copies = algBytes(s.batch, lines, Math.ceil(s.out[along] / block), reach, s.inChannels);
    const products = algBytes(blocks, block, s.outChannels) * (rows > 1 ? 2 : 1);
    return {
      macs: blocks * rows * reach * s.inside * block * s.outChannels,
      near: true,
      nbytes: 2 * copies + products + 3 * matrices,
      workspace: matrices + Math.min(copies + products, 2 ** 22),
    };
  },
  small: (s) => {
    const entries = s.pixels * s.taps;
    if (entries > 8192) {
      return { whyNot: `its table lists each tap of each pixel, ${entries} here, and up to 8192 in all` };
    }
    return { macs: s.macs, nbytes: ALG_ADDRESS * entries, workspace: ALG_ADDRESS * entries };
  },
  indirect: (s) => {
    const block = s.outs <= ALG_LANES ? ALG_LANES : 2 * ALG_LANES;
    const filled = Math.ceil(s.outs / block) * block;
    const packed = algBytes(s.groups, filled, s.terms);
    const turned = algTurnedBytes(s);
    const tables = 3 * ALG_ADDRESS * Math.max(...s.reach(s.out));
    const merged = s.inside < 16 && s.dilation[1] === 1 ? s.kernelSize[1] : 1;
    const rows = s.outs <= ALG_LANES ? 2 * ALG_LINE : ALG_LINE;
    const packs = merged === 1 && s.batch * s.pixels <= 20 * rows ? 1 : 3; // where it is used, or before
    const scratch =
      algBytes(rows + 1, block) +
      (merged > 1 ? algBytes(8 * rows, s.terms) : 0) +
      ALG_ADDRESS * (8 * (s.taps / merged + 1) + 1) * rows;
    return {
      macs: (s.macs * filled) / s.outs,
      near: true,
      nbytes: packs * packed + tables + 2 * turned,
      workspace: packed + tables + turned + scratch,
    };
  },
  depthwise: (s) => {
    if (s.groups === 1)
      return { whyNot: "its vectors hold a number for each group, and there is one group" };
    if (Math.min(s.inside, s.outs) > 1) {
      return {
        whyNot: `it is for groups of one channel, or of one output, not of ${s.inside} and ${s.outs}`,
      };
    }
    const [x, out] = algAll(s);
    const turned = algTurnedBytes(s);
    return { macs: s.macs, near: true, nbytes: x + out + 3 * turned, workspace: 2 * s.weights + turned };
  },
  stencil: (s) => {
    if (s.inside > 1) return { whyNot: `it is for groups of one channel, not of ${s.inside}` };
    if (s.stride.some((step, axis) => step > 1 && s.out[axis] > 1)) {
      return { whyNot: "its vectors hold neighbours, and a stride leaves some out" };
    }
    const [x, out] = algAll(s);
    return {
      macs: s.macs,
      near: true,
      nbytes: x + out,
      workspace: s.weights + algBytes(s.kernelSize[0] + 8, s.reach(s.out)[1]),
    };
  },
  winograd: (s) => {
    const forms = s.kernelSize.map((r, axis) => algBestForm(s, r, axis));
    const products = s.batch * forms[0].span * forms[0].tiles * forms[1].span * forms[1].tiles;
    if (s.kernelSize.some((k) => k > 7)) return { whyNot: "its kernels have up to 7 taps an axis" };
    if (products >= s.batch * s.pixels * s.taps) {
      return { whyNot: "tiles of this kernel, stride and output save no products" };
    }
    const filled = Math.ceil(s.outs / (2 * ALG_LANES)) * 2 * ALG_LANES;
    const wide = Math.ceil(s.inside / ALG_LANES) * ALG_LANES + filled;
    const packed = algBytes(s.groups, forms[0].span * forms[1].span, s.inside, filled);
    const turned = algTurnedBytes(s);
    const passed = algBytes(products, wide);
    return {
      macs: products * s.groups * (s.inside + ALG_STORED) * filled,
      near: true,
      nbytes: 6 * packed + 2 * turned + 2 * s.groups * passed,
      workspace: packed + turned + Math.min(passed, 3 << 17),
    };
  },
  fft: (s) => {
    const axes = [0, 1].filter((axis) => s.kernelSize[axis] > 1);
    if (!axes.length) return { whyNot: "a 1x1 kernel leaves nothing to transform" };
    const need = s.reach(s.out);
    const lengths = [0, 1].map((axis) => (axes.includes(axis) ? algFastLength(need[axis]) : 1));
    const apart = [0, 1].reduce((count, axis) => (axes.includes(axis) ? count : count * s.out[axis]), 1);
    const values = lengths[0] * lengths[1];
    const last = lengths[axes[axes.length - 1]];
    const bins = (values / last) * (Math.floor(last / 2) + 1);
    const log = Math.log2(Math.max(values, 2));
    const [images, channels] = [s.batch * apart, s.inChannels + s.outChannels];
    const flops =
      2.5 * values * log * (images * channels + s.inside * s.outChannels) +
      8 * bins * images * s.inside * s.outChannels;
    const spectra = bins * ALG_COMPLEX;
    return {
      macs: flops / 2,
      near: true,
      nbytes: images * channels * spectra * 2 * (1 + axes.length) + 4 * s.inside * s.outChannels * spectra,
      workspace: spectra * (s.inside * s.outChannels + channels * Math.min(images, apart)),
    };
  },
};

/** Return { m, span, tiles } of the form that takes the fewest products of an axis. */
function algBestForm(s, r, axis) {
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  const shared = divisor(s.stride[axis], s.dilation[axis]);
  const [stride, leap] = [s.stride[axis] / shared, s.dilation[axis] / shared];
  const able = [
    { m: 1 },
    ...ALG_TILES.filter((one) => one[0] === r && one[1] === stride).map(([, , m]) => ({ m })),
  ];
  const made = able.map(({ m }) => {
    const [short, more] = [Math.floor(s.out[axis] / leap), s.out[axis] % leap];
    const tiles = more * Math.ceil((short + 1) / m) + (leap - more) * Math.ceil(short / m);
    return { m, span: (m - 1) * stride + r, tiles };
  });
  return made.reduce((best, one) => (one.span * one.tiles < best.span * best.tiles ? one : best));
}

// (taps, stride, outputs) of the tiles that npconv takes under "strict".
const ALG_TILES = [
  [2, 1, 3],
  [3, 1, 2],
  [4, 1, 2],
  [5, 1, 2],
  [3, 2, 2],
  [4, 2, 2],
  [5, 2, 2],
  [6, 2, 2],
  [7, 2, 2],
  [3, 2, 4],
  [4, 2, 4],
  [5, 2, 4],
];
