// What grad_out has poured so far: grad_x with its padding, grad_weight and grad_bias, cell by cell.

import { backPours } from "./backward-reach.js";
import { drawnPadding, weightPlane } from "./reach.js";

/** Return the number of cells of grad_out of one image: the steps of the play. */
export function backSteps(state) {
  return state.gradOut.shape.slice(1).reduce((product, n) => product * n, 1);
}

/** Return the focus of a step, in raster order. */
export function backStepFocus(state, step) {
  const [, , rows, columns] = state.gradOut.shape;
  return { tensor: "gradOut", n: state.n, o: Math.floor(step / (rows * columns)),
    i: Math.floor(step / columns) % rows, j: step % columns };
}

/** Return the step of a focus, or `otherwise` where it is not on grad_out. */
export function backStepOf(state, focus, otherwise) {
  if (focus?.tensor !== "gradOut") return otherwise;
  const [, , rows, columns] = state.gradOut.shape;
  return (focus.o * rows + focus.i) * columns + focus.j;
}

/**
 * Return what pours: upTo(state, step, whole) gives { x(c, i, j), weight(plane, i, j), bias(o) } as they
 * stand after the cells to `step` of the image shown; images before it have poured wholly,
 * and with `whole` all others too.
 *
 * x(c, i, j) takes positions in the padding too: there it gives what landed on the padding. One step
 * on from the last call costs that step alone.
 */
export function createPour() {
  let made = null;
  return {
    upTo(state, step, whole) {
      const same = made && made.key === state.gradX && made.n === state.n && made.whole === whole
        && made.step <= step;
      if (!same) made = backPourStart(state, whole);
      while (made.step < step) {
        made.step += 1;
        backPourCell(made, state, backStepFocus(state, made.step), true);
      }
      return made;
    },
  };
}

function backPourStart(state, whole) {
  const { problem, gradX, n } = state;
  const [[top, bottom], [left, right]] = drawnPadding(problem);
  const [height, width] = problem.size.map((size, axis) => size + [top + bottom, left + right][axis]);
  const [, , high, wide] = state.weight.shape;
  const landed = new Float64Array(problem.inChannels * height * width);
  const weights = new Float64Array(state.weight.data.length);
  const made = {
    key: gradX, n, whole, step: -1, landed, weights,
    biases: new Float64Array(problem.outChannels),
    flat: (c, i, j) => (c * height + i + top) * width + j + left,
    flatWeight: (plane, i, j) => (plane * high + i) * wide + j,
  };
  made.x = (c, i, j) => landed[made.flat(c, i, j)];
  made.weight = (plane, i, j) => weights[made.flatWeight(plane, i, j)];
  made.bias = (o) => made.biases[o];
  for (let image = 0; image < (whole ? problem.batch : n); image += 1) {
    if (image === n) continue;
    for (let at = 0; at < backSteps(state); at += 1) {
      backPourCell(made, state, { ...backStepFocus(state, at), n: image }, false);
    }
  }
  return made;
}

/** Pour one cell of grad_out; with x where its image is the one drawn. */
function backPourCell(made, state, { n, o, i, j }, withX) {
  for (const { tap, toX, toWeight } of backPours(state, n, o, i, j)) {
    made.weights[made.flatWeight(weightPlane(state, tap.wo, tap.wc), tap.kh, tap.kw)] += toWeight;
    if (!withX) continue;
    const outside = tap.sh < 0 || tap.sh !== tap.h || tap.sw !== tap.w;
    if (outside) made.landed[made.flat(tap.c, tap.h, tap.w)] += toX;
    if (tap.sh >= 0) made.landed[made.flat(tap.c, tap.sh, tap.sw)] += toX;
  }
  made.biases[o] += state.gradOut.at(n, o, i, j);
}
