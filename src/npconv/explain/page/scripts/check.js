// The page's own arithmetic, held to the numbers that npconv wrote into the file.

import { forward, inputGrad, tensor, weightGrad } from "./arithmetic.js";

const CHECK_TOLERANCE = 1e-8; // of the products' magnitudes; what is written has 9 digits

/** Return { equal, count, worst }: worst is the largest error, as a share of the products' magnitudes. */
export function compare(given) {
  const { problem } = given;
  const [x, weight, gradOut] = [given.x, given.weight, given.gradOut].map(checkRead);
  const bias = given.bias ? given.bias.data : null;
  const [ax, aweight, agradOut] = [x, weight, gradOut].map(checkMagnitudes);
  const abias = bias && bias.map(Math.abs);
  const results = [
    [given.out, forward(problem, x, weight, bias), forward(problem, ax, aweight, abias)],
    [given.gradX, inputGrad(problem, gradOut, weight), inputGrad(problem, agradOut, aweight)],
    [given.gradWeight, weightGrad(problem, gradOut, x), weightGrad(problem, agradOut, ax)],
  ];
  let [count, worst] = [0, 0];
  for (const [written, own, size] of results) {
    if (written.shape.join() !== own.shape.join()) return { equal: false, count, worst: Infinity };
    own.data.forEach((value, at) => {
      const error = Math.abs(value - written.data[at]);
      const share = error === 0 ? 0 : error / size.data[at];
      worst = Math.max(worst, Number.isNaN(share) ? Infinity : share);
      count += 1;
    });
  }
  return { equal: worst <= CHECK_TOLERANCE, count, worst };
}

function checkRead({ shape, data }) {
  return tensor(shape, data);
}

function checkMagnitudes({ shape, data }) {
  return tensor(shape, data.map(Math.abs));
}
