// What one cell touches on the way back: grad_out, x, weight and the three gradients.

import { gradWeightTerms, gradXTerms } from "./arithmetic.js";
import { usesOfWeight, usesOfX, windowOf } from "./geometry.js";
import { cellName, reachDone, reachHit, reachStart, reachTerm, weightPlane } from "./reach.js";

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
  for (const { tap, grad, x, weight, toX, toWeight } of backPours(state, n, o, i, j)) {
    const plane = weightPlane(state, tap.wo, tap.wc);
    reachHit(reach, "gradX", tap.c, tap.h, tap.w, toX);
    reachHit(reach, "x", tap.c, tap.h, tap.w, toWeight);
    reachHit(reach, "weight", plane, tap.kh, tap.kw, toX);
    reachHit(reach, "gradWeight", plane, tap.kh, tap.kw, toWeight);
    const zero = tap.sh < 0;
    const copied = !zero && (tap.sh !== tap.h || tap.sw !== tap.w);
    const target = zero ? "padding: dropped" : cellName("grad_x", n, tap.c, tap.sh, tap.sw);
    reachTerm(reach, `channel ${tap.c}`, { left: grad, right: weight, product: toX, zero, copied,
      to: target, at: cellName("weight", tap.wo, tap.wc, tap.kh, tap.kw) });
    if (copied) reach.sources.set(tap.c * 1e6 + tap.sh * 1e3 + tap.sw, [tap.c, tap.sh, tap.sw]);
    reach.toWeight = (reach.toWeight ?? 0) + Number(x !== 0 && grad !== 0);
  }
  reachHit(reach, "gradBias", 0, o, 0, value);
  return reach;
}

function backFromX(state, { n, c, i, j }) {
  const { problem, gradOut, weight } = state;
  const reach = reachStart("gradX", cellName("grad_x", n, c, i, j), state.gradX.at(n, c, i, j));
  for (const term of gradXTerms(problem, gradOut, weight, n, c, i, j).terms) {
    const { use, grad, weight: factor, product } = term;
    reachHit(reach, "gradOut", use.o, use.i, use.j, product);
    reachHit(reach, "weight", weightPlane(state, use.wo, use.wc), use.kh, use.kw, product);
    reachTerm(reach, `out channel ${use.o}`, { left: grad, right: factor, product,
      at: `${cellName("grad_out", n, use.o, use.i, use.j)} · ${cellName("weight", use.wo, use.wc, use.kh, use.kw)}` });
  }
  if (!reach.count) {
    reach.note = `No window reads ${cellName("x", n, c, i, j)}: out does not depend on it, so its `
      + "gradient is 0.";
  }
  return reach;
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
  const value = state.x.at(n, c, i, j);
  const reach = reachStart("x", cellName("x", n, c, i, j), value);
  reach.gives = true;
  for (const use of usesOfX(state.problem, c, i, j)) {
    const grad = state.gradOut.at(n, use.o, use.i, use.j);
    const product = grad * value;
    reachHit(reach, "gradOut", use.o, use.i, use.j, product);
    reachHit(reach, "gradWeight", weightPlane(state, use.wo, use.wc), use.kh, use.kw, product);
    reachTerm(reach, `out channel ${use.o}`, { left: grad, right: value, product,
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
