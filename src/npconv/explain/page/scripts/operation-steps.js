// The order in which the operation is played: cell by cell of out, or of x where x stamps.

import { tensor } from "./arithmetic.js";
import { axisTaps, outSize, usesOfX } from "./geometry.js";

/** Return the shape [channels, rows, columns] whose cells are the steps. */
export function stepShape(state, stamps) {
  return (stamps ? state.x : state.out).shape.slice(1);
}

/** Return the number of steps. */
export function stepCount(state, stamps) {
  return stepShape(state, stamps).reduce((product, n) => product * n, 1);
}

/** Return the focus of a step, in raster order. */
export function stepFocus(state, stamps, step) {
  const [, rows, columns] = stepShape(state, stamps);
  const plane = Math.floor(step / (rows * columns));
  const cell = { n: state.n, i: Math.floor(step / columns) % rows, j: step % columns };
  return stamps ? { tensor: "x", c: plane, ...cell } : { tensor: "out", o: plane, ...cell };
}

/** Return the step of a focus, or `otherwise` where it is on none. */
export function stepOf(state, stamps, focus, otherwise = 0) {
  if (focus?.tensor !== (stamps ? "x" : "out")) return otherwise;
  const [, rows, columns] = stepShape(state, stamps);
  const { i, j } = focus;
  if (i < 0 || j < 0 || i >= rows || j >= columns) return otherwise;
  return ((stamps ? focus.c : focus.o) * rows + i) * columns + j;
}

/** Return the focus in the middle of the first channel: where the page starts. */
export function stepMiddle(state, stamps) {
  const [, rows, columns] = stepShape(state, stamps);
  const at = Math.floor((rows - 1) / 2) * columns + Math.floor((columns - 1) / 2);
  return stepFocus(state, stamps, at);
}

/** Return whether a focus still lies in what is drawn of its tensor. */
export function stepHolds(state, focus) {
  if (!focus) return false;
  const { problem } = state;
  if (focus.tensor === "bias") return focus.o < problem.outChannels;
  const { tensor: name, o, c, i, j } = focus;
  const [first, second, rows, columns] = state[name].shape;
  if (name === "weight" || name === "gradWeight") {
    return o < first && c < second && i < rows && j < columns;
  }
  const pad = name === "x" && !problem.transposed ? problem.padding : [[0, 0], [0, 0]];
  const inside = (at, axis, size) => at >= -Math.max(pad[axis][0], 0) && at < size + Math.max(pad[axis][1], 0);
  return (o ?? c) < second && inside(i, 0, rows) && inside(j, 1, columns);
}

/** Return out of the image shown as it stands after the first cells of x, to `step`, have stamped. */
export function stampedOut(state, step) {
  const { problem, n, x, weight, bias } = state;
  const [, channels, height, width] = x.shape;
  const made = tensor([1, problem.outChannels, ...outSize(problem)]);
  const cells = made.data.length / problem.outChannels;
  made.data.forEach((_, at) => { made.data[at] = bias[Math.floor(at / cells)]; });
  const last = Math.min(step + 1, channels * height * width);
  for (let at = 0; at < last; at += 1) {
    const [c, h, w] = [Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width];
    const value = x.at(n, c, h, w);
    for (const { o, i, j, kh, kw, wo, wc } of usesOfX(problem, c, h, w)) {
      made.data[made.index(0, o, i, j)] += value * weight.at(wo, wc, kh, kw);
    }
  }
  return made;
}

/** Return how many products each row (axis 0) or column (axis 1) of out gathers along its axis. */
export function tapCounts(problem, axis) {
  return Array.from({ length: outSize(problem)[axis] }, (_, i) => axisTaps(problem, axis, i).length);
}
