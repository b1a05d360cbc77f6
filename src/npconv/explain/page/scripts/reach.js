// What one cell of x, weight, bias or out touches: the cells that meet it in a product, and the sum.
//
// A reach is { tensor, title, value, hits, sources, links, lead, groups, gives, count, zeros }.
// hits[tensor] is a Map from a cell's key to its largest |product|, as a share of the largest of all;
// groups hold the products as they are written out, channel by channel.

import { termsOf } from "./arithmetic.js";
import { axisTaps, axisUses, outLength, source, usesOfWeight, usesOfX, weightIndex } from "./geometry.js";

/** Return the number that stands for cell (i, j) of a plane; both may lie in the padding. */
export function reachKey(plane, i, j) {
  return (plane * 512 + i + 128) * 512 + j + 128;
}

/** Return a new reach of the cell that title names, to be filled by reachAdd. */
export function reachStart(tensor, title, value) {
  const names = ["x", "weight", "bias", "out", "gradOut", "gradX", "gradWeight", "gradBias"];
  const hits = Object.fromEntries(names.map((name) => [name, new Map()]));
  return { tensor, title, value, hits, sources: new Map(), links: [], lead: null, groups: [],
    gives: false, count: 0, zeros: 0 };
}

/** Mark a cell as met with a product of that size. */
export function reachHit(reach, tensor, plane, i, j, product) {
  const key = reachKey(plane, i, j);
  const size = Math.abs(product);
  reach.hits[tensor].set(key, Math.max(reach.hits[tensor].get(key) ?? 0, size));
}

/** Write a product down in the group of that label. */
export function reachTerm(reach, label, term) {
  let group = reach.groups.at(-1);
  if (!group || group.label !== label) {
    group = { label, terms: [], sum: 0 };
    reach.groups.push(group);
  }
  group.terms.push(term);
  group.sum += term.product;
  reach.count += 1;
  if (term.zero) reach.zeros += 1;
}

/** Return the reach with its products' sizes as shares of the largest. */
export function reachDone(reach) {
  let most = 0;
  for (const cells of Object.values(reach.hits)) {
    for (const size of cells.values()) if (size > most) most = size;
  }
  for (const cells of Object.values(reach.hits)) {
    for (const [key, size] of cells) cells.set(key, most > 0 ? size / most : 0);
  }
  return reach;
}

/** Return the plane of weight's first two indices: one row of planes an index o. */
export function weightPlane(state, o, c) {
  return o * state.weight.shape[1] + c;
}

/** Return a cell's name as NumPy writes it: "out[0, 1, 2, 3]". */
export function cellName(name, ...index) {
  return `${name}[${index.join(", ").replaceAll("-", "−")}]`;
}

/** Return what stands at a position of x that may lie in its padding: { value, sh, sw, padded }. */
export function readX(state, n, c, h, w) {
  const [row, column] = [source(state.problem, 0, h), source(state.problem, 1, w)];
  const zero = row.index < 0 || column.index < 0;
  const [sh, sw] = zero ? [-1, -1] : [row.index, column.index];
  return { value: zero ? 0 : state.x.at(n, c, sh, sw), sh, sw, padded: row.padded || column.padded };
}

const reachCounts = new WeakMap();

/** Return how many taps of windows read each row (axis 0) or column (axis 1) of x. */
export function readCounts(problem, axis) {
  if (!reachCounts.has(problem)) {
    reachCounts.set(problem, problem.size.map((size, along) => (
      Array.from({ length: size }, (_, s) => axisUses(problem, along, s).length))));
  }
  return reachCounts.get(problem)[axis];
}

/** Return whether no window reads cell (h, w) of x. */
export function isUnread(problem, h, w) {
  return !readCounts(problem, 0)[h] || !readCounts(problem, 1)[w];
}

/** Return whether negative padding crops cell (h, w) of x away; of a transposed problem, of out. */
export function isCropped(problem, h, w) {
  return [h, w].some((at, axis) => {
    const [before, after] = problem.padding[axis];
    return at < -before || at >= problem.size[axis] + after;
  });
}

/** Return the padding to draw round x: [[top, bottom], [left, right]], nothing where it crops. */
export function drawnPadding(problem) {
  if (problem.transposed) return [[0, 0], [0, 0]];
  return problem.padding.map((sides) => sides.map((side) => Math.max(side, 0)));
}

/** Return the reach of a focus of the forward map, or null. */
export function reachOf(state, focus) {
  const maker = { x: reachX, weight: reachWeight, bias: reachBias, out: reachOut }[focus?.tensor];
  return maker ? reachDone(maker(state, focus)) : null;
}

function reachOut(state, { n, o, i, j }) {
  const { problem, x, weight, bias } = state;
  const reach = reachStart("out", cellName("out", n, o, i, j), state.out.at(n, o, i, j));
  reachHit(reach, "bias", 0, o, 0, bias[o]);
  reach.lead = { value: bias[o], label: "bias" };
  for (const { tap, x: value, weight: factor, product } of termsOf(problem, x, weight, n, o, i, j).terms) {
    const zero = tap.sh < 0;
    const copied = !zero && (tap.sh !== tap.h || tap.sw !== tap.w);
    reachHit(reach, "x", tap.c, tap.h, tap.w, product);
    if (copied) reach.sources.set(reachKey(tap.c, tap.sh, tap.sw), true);
    reachHit(reach, "weight", weightPlane(state, tap.wo, tap.wc), tap.kh, tap.kw, product);
    reachTerm(reach, `channel ${tap.c}`, { left: value, right: factor, product, zero, copied,
      at: `${cellName("x", n, tap.c, tap.h, tap.w)} · ${cellName("weight", tap.wo, tap.wc, tap.kh, tap.kw)}` });
  }
  return reach;
}

function reachX(state, { n, c, i, j }) {
  const { problem, weight } = state;
  const { value, sh, sw, padded } = readX(state, n, c, i, j);
  const reach = reachStart("x", cellName("x", n, c, i, j), value);
  Object.assign(reach, { gives: true, padded, zero: sh < 0, copyOf: null });
  if (padded && sh >= 0) {
    reach.sources.set(reachKey(c, sh, sw), true);
    reach.links.push({ from: [c, i, j], to: [c, sh, sw] });
    reach.copyOf = cellName("x", n, c, sh, sw);
  }
  const uses = padded ? reachPosition(problem, c, i, j) : usesOfX(problem, c, i, j);
  if (!padded) {
    for (const [h, w] of reachCopies(problem, i, j)) {
      reachHit(reach, "x", c, h, w, 0);
      reach.links.push({ from: [c, h, w], to: [c, i, j] });
    }
  }
  for (const use of uses) {
    const factor = weight.at(use.wo, use.wc, use.kh, use.kw);
    const product = value * factor;
    reachHit(reach, "out", use.o, use.i, use.j, product);
    reachHit(reach, "weight", weightPlane(state, use.wo, use.wc), use.kh, use.kw, product);
    reachTerm(reach, `out channel ${use.o}`, { left: value, right: factor, product, zero: sh < 0,
      copied: padded && sh >= 0, to: cellName("out", n, use.o, use.i, use.j),
      at: cellName("weight", use.wo, use.wc, use.kh, use.kw) });
  }
  return reach;
}

function reachWeight(state, { o: wo, c: wc, i, j }) {
  const { problem, n } = state;
  const value = state.weight.at(wo, wc, i, j);
  const reach = reachStart("weight", cellName("weight", wo, wc, i, j), value);
  reach.gives = true;
  for (const use of usesOfWeight(problem, wo, wc, i, j)) {
    const read = use.sh < 0 ? 0 : state.x.at(n, use.c, use.sh, use.sw);
    const product = read * value;
    reachHit(reach, "x", use.c, use.h, use.w, product);
    reachHit(reach, "out", use.o, use.i, use.j, product);
    const copied = use.sh >= 0 && (use.sh !== use.h || use.sw !== use.w);
    reachTerm(reach, `x channel ${use.c}, out channel ${use.o}`, { left: read, right: value, product,
      zero: use.sh < 0, copied, to: cellName("out", n, use.o, use.i, use.j),
      at: cellName("x", n, use.c, use.h, use.w) });
  }
  return reach;
}

function reachBias(state, { o }) {
  const reach = reachStart("bias", cellName("bias", o), state.bias[o]);
  reach.gives = true;
  const [, , rows, columns] = state.out.shape;
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) reachHit(reach, "out", o, i, j, 1);
  }
  reach.count = rows * columns;
  reach.note = `${reach.title} is added once to each of the ${rows * columns} cells of out channel ${o}.`;
  return reach;
}

/** Return the uses of exactly one position of x, which may lie in its padding. */
function reachPosition(problem, c, h, w) {
  const along = (axis, p) => {
    const met = [];
    for (let i = 0; i < outLength(problem, axis); i += 1) {
      axisTaps(problem, axis, i).forEach((tap) => { if (tap.p === p) met.push({ i, k: tap.k }); });
    }
    return met;
  };
  const [rows, columns] = [along(0, h), along(1, w)];
  const outs = problem.outChannels / problem.groups;
  const first = Math.floor(c / (problem.inChannels / problem.groups)) * outs;
  return Array.from({ length: outs }, (_, at) => first + at).flatMap((o) => {
    const [wo, wc] = weightIndex(problem, c, o);
    return rows.flatMap(({ i, k: kh }) => columns.map(({ i: j, k: kw }) => (
      { o, i, j, kh, kw, wo, wc })));
  });
}

/** Return the padded positions [h, w] that copy element (i, j) of x. */
function reachCopies(problem, i, j) {
  const pad = drawnPadding(problem);
  const along = (axis, s) => {
    const met = [];
    for (let p = -pad[axis][0]; p < problem.size[axis] + pad[axis][1]; p += 1) {
      if (source(problem, axis, p).index === s) met.push(p);
    }
    return met;
  };
  return along(0, i).flatMap((h) => along(1, j).map((w) => [h, w]))
    .filter(([h, w]) => h !== i || w !== j);
}
