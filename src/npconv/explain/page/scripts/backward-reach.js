// What one cell touches on the way back: grad_out, x, weight and the three gradients.

import { gradWeightTerms, gradXTerms } from "./arithmetic.js";
import { axisTaps, outLength, source, usesOfWeight, usesOfX, weightIndex, windowOf } from "./geometry.js";
import {
  cellName, drawnPadding, reachDone, reachHit, reachKey, reachStart, reachTerm, readX, weightPlane,
} from "./reach.js";

/** Return the reach of a focus of the backward maps, or null. */
export function backReachOf(state, focus) {
  const maker = { gradOut: backFromOut, gradX: backFromX, gradWeight: backFromWeight,
    gradBias: backFromBias, x: backThroughX, weight: backThroughWeight }[focus?.tensor];
  return maker ? reachDone(maker(state, focus)) : null;
}

/** Return the taps of one cell of grad_out with both products: what it pours, and where. */
export function backPours(state, n, o, i, j) {
  const grad = state.gradOut.at(n, o, i, j);
  return windowOf(state.problem, o, i, j).map((tap) => {
    const value = tap.sh < 0 ? 0 : state.x.at(n, tap.c, tap.sh, tap.sw);
    const factor = state.weight.at(tap.wo, tap.wc, tap.kh, tap.kw);
    return { tap, grad, x: value, weight: factor, toX: grad * factor, toWeight: grad * value };
  });
}

function backFromOut(state, { n, o, i, j }) {
  const value = state.gradOut.at(n, o, i, j);
  const reach = reachStart("gradOut", cellName("grad_out", n, o, i, j), value);
  reach.gives = true;
  const pours = backPours(state, n, o, i, j);
  for (const { tap, grad, weight, toX, toWeight } of pours) {
    const plane = weightPlane(state, tap.wo, tap.wc);
    reachHit(reach, "gradX", tap.c, tap.h, tap.w, toX);
    reachHit(reach, "x", tap.c, tap.h, tap.w, toWeight);
    reachHit(reach, "weight", plane, tap.kh, tap.kw, toX);
    reachHit(reach, "gradWeight", plane, tap.kh, tap.kw, toWeight);
    const zero = tap.sh < 0;
    const copied = !zero && (tap.sh !== tap.h || tap.sw !== tap.w);
    const target = zero ? "padding: dropped" : cellName("grad_x", n, tap.c, tap.sh, tap.sw);
    reachTerm(reach, `to grad_x channel ${tap.c}`, { left: grad, right: weight, product: toX, zero, copied,
      to: target, at: cellName("weight", tap.wo, tap.wc, tap.kh, tap.kw) });
    if (copied) backCopy(reach, tap.c, [tap.h, tap.w], [tap.sh, tap.sw]);
  }
  for (const { tap, grad, x, toWeight } of pours) {
    reachTerm(reach, `to grad_weight [${tap.wo}, ${tap.wc}]`, { left: grad, right: x, product: toWeight,
      zero: tap.sh < 0, to: cellName("grad_weight", tap.wo, tap.wc, tap.kh, tap.kw),
      at: cellName("x", n, tap.c, tap.h, tap.w) });
  }
  reachHit(reach, "gradBias", 0, o, 0, value);
  return reach;
}

function backFromX(state, { n, c, i, j }) {
  const { problem, gradOut, weight } = state;
  if (backOutside(problem, i, j)) return backFromPadding(state, { n, c, i, j });
  const reach = reachStart("gradX", cellName("grad_x", n, c, i, j), state.gradX.at(n, c, i, j));
  for (const term of gradXTerms(problem, gradOut, weight, n, c, i, j).terms) {
    const { use, grad, weight: factor, product } = term;
    reachHit(reach, "gradOut", use.o, use.i, use.j, product);
    reachHit(reach, "weight", weightPlane(state, use.wo, use.wc), use.kh, use.kw, product);
    const copied = problem.mode !== "zeros" && (backPosition(problem, 0, use.i, use.kh) !== i
      || backPosition(problem, 1, use.j, use.kw) !== j);
    reachTerm(reach, `out channel ${use.o}`, { left: grad, right: factor, product, copied,
      at: `${cellName("grad_out", n, use.o, use.i, use.j)} · ${cellName("weight", use.wo, use.wc, use.kh, use.kw)}` });
  }
  backCopies(reach, problem, c, i, j);
  if (!reach.count) {
    reach.note = `No window reads ${cellName("x", n, c, i, j)}: out does not depend on it, so its `
      + "gradient is 0.";
  }
  return reach;
}

/** What lands on a position of the padding: dropped, or added to the cell that it copies. */
function backFromPadding(state, { n, c, i, j }) {
  const { problem, gradOut, weight } = state;
  const reach = reachStart("gradX", `padding${cellName("", n, c, i, j)}`, 0);
  for (const use of backUsesAt(problem, c, i, j)) {
    const [grad, factor] = [gradOut.at(n, use.o, use.i, use.j), weight.at(use.wo, use.wc, use.kh, use.kw)];
    const product = grad * factor;
    reach.value += product;
    reachHit(reach, "gradOut", use.o, use.i, use.j, product);
    reachHit(reach, "weight", weightPlane(state, use.wo, use.wc), use.kh, use.kw, product);
    reachTerm(reach, `out channel ${use.o}`, { left: grad, right: factor, product,
      at: `${cellName("grad_out", n, use.o, use.i, use.j)} · ${cellName("weight", use.wo, use.wc, use.kh, use.kw)}` });
  }
  const [row, column] = [source(problem, 0, i).index, source(problem, 1, j).index];
  if (row < 0 || column < 0) {
    reach.note = "It is dropped: a padded zero is no part of x.";
    return reach;
  }
  backCopy(reach, c, [i, j], [row, column]);
  reach.note = `It is added to ${cellName("grad_x", n, c, row, column)}, whose copy stands here.`;
  return reach;
}

/** Link a padded position with the cell of x that it copies. */
function backCopy(reach, c, from, to) {
  reach.sources.set(reachKey(c, ...to), true);
  reach.links.push({ from: [c, ...from], to: [c, ...to] });
}

/** Link a cell of x with all of its copies in the padding. */
function backCopies(reach, problem, c, i, j) {
  if (problem.mode === "zeros" || problem.transposed) return;
  const pad = drawnPadding(problem);
  const [rows, columns] = [i, j].map((at, axis) => {
    const [before, after] = pad[axis];
    const positions = Array.from({ length: problem.size[axis] + before + after }, (_, p) => p - before);
    return positions.filter((p) => source(problem, axis, p).index === at);
  });
  rows.forEach((h) => columns.forEach((w) => {
    if (h !== i || w !== j) reach.links.push({ from: [c, h, w], to: [c, i, j] });
  }));
}

function backOutside({ size }, i, j) {
  return i < 0 || j < 0 || i >= size[0] || j >= size[1];
}

/** Return the position along an axis at which tap k of cell i of out stands. */
function backPosition(problem, axis, i, k) {
  return i * problem.stride[axis] + k * problem.dilation[axis] - problem.padding[axis][0];
}

/** Return the uses { o, i, j, kh, kw, wo, wc } of exactly one position, which may lie in the padding. */
function backUsesAt(problem, c, h, w) {
  const [rows, columns] = [h, w].map((at, axis) => (
    Array.from({ length: outLength(problem, axis) }, (_, i) => axisTaps(problem, axis, i)
      .filter(({ p }) => p === at).map(({ k }) => ({ i, k }))).flat()));
  const outs = problem.outChannels / problem.groups;
  const first = Math.floor(c / (problem.inChannels / problem.groups)) * outs;
  return Array.from({ length: outs }, (_, at) => first + at).flatMap((o) => {
    const [wo, wc] = weightIndex(problem, c, o);
    return rows.flatMap(({ i, k: kh }) => columns.map(({ i: j, k: kw }) => (
      { o, i, j, kh, kw, wo, wc })));
  });
}

function backFromWeight(state, { o: wo, c: wc, i, j }) {
  const { problem, gradOut, x } = state;
  const value = state.gradWeight.at(wo, wc, i, j);
  const reach = reachStart("gradWeight", cellName("grad_weight", wo, wc, i, j), value);
  for (const term of gradWeightTerms(problem, gradOut, x, wo, wc, i, j).terms) {
    const { use, n, grad, product } = term;
    if (n === state.n) {
      reachHit(reach, "gradOut", use.o, use.i, use.j, product);
      reachHit(reach, "x", use.c, use.h, use.w, product);
    }
    const zero = use.sh < 0;
    const copied = !zero && (use.sh !== use.h || use.sw !== use.w);
    const label = problem.batch > 1 ? `image ${n}, row ${use.i} of out` : `row ${use.i} of out`;
    reachTerm(reach, label, { left: grad, right: term.x, product, zero, copied,
      at: `${cellName("grad_out", n, use.o, use.i, use.j)} · ${cellName("x", n, use.c, use.h, use.w)}` });
  }
  return reach;
}

function backFromBias(state, { o }) {
  const reach = reachStart("gradBias", cellName("grad_bias", o), state.gradBias[o]);
  const [batch, , rows, columns] = state.gradOut.shape;
  for (let n = 0; n < batch; n += 1) {
    for (let i = 0; i < rows; i += 1) {
      for (let j = 0; j < columns; j += 1) {
        const grad = state.gradOut.at(n, o, i, j);
        if (n === state.n) reachHit(reach, "gradOut", o, i, j, grad);
        reachTerm(reach, batch > 1 ? `image ${n}, row ${i} of out` : `row ${i} of out`,
          { left: grad, right: null, product: grad, at: cellName("grad_out", n, o, i, j) });
      }
    }
  }
  return reach;
}

/** x's own cell on the way back: which numbers of grad_weight it is a factor of. */
function backThroughX(state, { n, c, i, j }) {
  const { value, sh, sw, padded } = readX(state, n, c, i, j);
  const reach = reachStart("x", cellName("x", n, c, i, j), value);
  Object.assign(reach, { gives: true, zero: sh < 0,
    copyOf: padded && sh >= 0 ? cellName("x", n, c, sh, sw) : null });
  if (reach.copyOf) backCopy(reach, c, [i, j], [sh, sw]);
  const uses = padded ? backUsesAt(state.problem, c, i, j) : usesOfX(state.problem, c, i, j);
  if (!padded) backCopies(reach, state.problem, c, i, j);
  for (const use of uses) {
    const grad = state.gradOut.at(n, use.o, use.i, use.j);
    const product = grad * value;
    reachHit(reach, "gradOut", use.o, use.i, use.j, product);
    reachHit(reach, "gradWeight", weightPlane(state, use.wo, use.wc), use.kh, use.kw, product);
    reachTerm(reach, `out channel ${use.o}`, { left: grad, right: value, product, zero: sh < 0,
      to: cellName("grad_weight", use.wo, use.wc, use.kh, use.kw),
      at: cellName("grad_out", n, use.o, use.i, use.j) });
  }
  return reach;
}

/** A number of weight on the way back: what it carries from grad_out to grad_x. */
function backThroughWeight(state, { o: wo, c: wc, i, j }) {
  const { n } = state;
  const value = state.weight.at(wo, wc, i, j);
  const reach = reachStart("weight", cellName("weight", wo, wc, i, j), value);
  reach.gives = true;
  for (const use of usesOfWeight(state.problem, wo, wc, i, j)) {
    const grad = state.gradOut.at(n, use.o, use.i, use.j);
    const product = grad * value;
    const zero = use.sh < 0;
    reachHit(reach, "gradOut", use.o, use.i, use.j, product);
    if (!zero) reachHit(reach, "gradX", use.c, use.sh, use.sw, product);
    reachTerm(reach, `out channel ${use.o}`, { left: grad, right: value, product, zero,
      to: zero ? "padding: dropped" : cellName("grad_x", n, use.c, use.sh, use.sw),
      at: cellName("grad_out", n, use.o, use.i, use.j) });
  }
  return reach;
}
