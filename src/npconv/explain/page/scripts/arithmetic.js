// The naive definition in float64: out, and both gradients, as the three maps of one trilinear form.
//
// <grad_out, conv(x, weight)> is a sum of products grad_out * x * weight. Leave one factor out and
// add up the rest where it stood: that is each of the three results.

import {
  axisTaps, groupOf, outShape, outSize, usesOfWeight, usesOfX, weightIndex, weightShape, windowOf,
  xShape,
} from "./geometry.js";

/** Return an array of 4 axes in row-major order: { shape, data, index, at, set }. */
export function tensor(shape, data) {
  const [, b, c, d] = shape;
  const length = shape.reduce((product, n) => product * n, 1);
  const values = data ? Float64Array.from(data) : new Float64Array(length);
  if (values.length !== length) {
    throw new RangeError(`${values.length} numbers do not fill the shape ${shape.join("x")}.`);
  }
  const index = (n, ch, h, w) => ((n * b + ch) * c + h) * d + w;
  return {
    shape: [...shape],
    data: values,
    index,
    at: (n, ch, h, w) => values[index(n, ch, h, w)],
    set: (n, ch, h, w, value) => {
      values[index(n, ch, h, w)] = value;
    },
  };
}

/** Call visit(out, x, weight) with the flat indices of every product of the form but padded zeros. */
export function eachProduct(problem, visit) {
  const [rows, columns] = outSize(problem);
  const [batch, channels, height, width] = xShape(problem);
  const [, depth, high, wide] = weightShape(problem);
  const along = (axis, count) =>
    Array.from({ length: count }, (_, i) => axisTaps(problem, axis, i).filter((tap) => tap.s >= 0));
  const [down, across] = [along(0, rows), along(1, columns)];
  let out = 0;
  for (let n = 0; n < batch; n += 1) {
    for (let o = 0; o < problem.outChannels; o += 1) {
      const { first, count } = groupOf(problem, o);
      for (let i = 0; i < rows; i += 1) {
        for (let j = 0; j < columns; j += 1) {
          for (let c = first; c < first + count; c += 1) {
            const [wo, wc] = weightIndex(problem, c, o);
            for (const row of down[i]) {
              const xRow = ((n * channels + c) * height + row.s) * width;
              const weightRow = ((wo * depth + wc) * high + row.k) * wide;
              for (const column of across[j]) {
                visit(out, xRow + column.s, weightRow + column.k);
              }
            }
          }
          out += 1;
        }
      }
    }
  }
}

/** Return out: what every window sums, and bias (one number an output channel) where there is one. */
export function forward(problem, x, weight, bias = null) {
  const out = tensor(outShape(problem));
  eachProduct(problem, (o, s, w) => {
    out.data[o] += x.data[s] * weight.data[w];
  });
  if (bias) {
    const [, channels, rows, columns] = out.shape;
    for (let at = 0; at < out.data.length; at += 1) {
      out.data[at] += bias[Math.floor(at / (rows * columns)) % channels];
    }
  }
  return out;
}

/** Return grad_x: each element of x gathers grad_out * weight from every product that it stands in. */
export function inputGrad(problem, gradOut, weight) {
  const grad = tensor(xShape(problem));
  eachProduct(problem, (o, s, w) => {
    grad.data[s] += gradOut.data[o] * weight.data[w];
  });
  return grad;
}

/** Return grad_weight: each number of weight sums grad_out * x over every window of the batch. */
export function weightGrad(problem, gradOut, x) {
  const grad = tensor(weightShape(problem));
  eachProduct(problem, (o, s, w) => {
    grad.data[w] += gradOut.data[o] * x.data[s];
  });
  return grad;
}

/** Return grad_bias: the sum of grad_out over all but its channels. */
export function biasGrad(gradOut) {
  const [, channels, rows, columns] = gradOut.shape;
  const grad = new Float64Array(channels);
  gradOut.data.forEach((value, at) => {
    grad[Math.floor(at / (rows * columns)) % channels] += value;
  });
  return grad;
}

/** Return { terms: [{ tap, x, weight, product }], sum } of one cell of out, without its bias. */
export function termsOf(problem, x, weight, n, o, i, j) {
  const terms = windowOf(problem, o, i, j).map((tap) => {
    const value = tap.sh < 0 ? 0 : x.at(n, tap.c, tap.sh, tap.sw);
    const factor = weight.at(tap.wo, tap.wc, tap.kh, tap.kw);
    return { tap, x: value, weight: factor, product: value * factor };
  });
  return { terms, sum: terms.reduce((sum, term) => sum + term.product, 0) };
}

/** Return { terms: [{ use, grad, weight, product }], sum } of one cell of grad_x. */
export function gradXTerms(problem, gradOut, weight, n, c, h, w) {
  const terms = usesOfX(problem, c, h, w).map((use) => {
    const grad = gradOut.at(n, use.o, use.i, use.j);
    const factor = weight.at(use.wo, use.wc, use.kh, use.kw);
    return { use, grad, weight: factor, product: grad * factor };
  });
  return { terms, sum: terms.reduce((sum, term) => sum + term.product, 0) };
}

/** Return { terms: [{ use, n, grad, x, product }], sum } of one number of grad_weight, over the batch. */
export function gradWeightTerms(problem, gradOut, x, wo, wc, kh, kw) {
  const uses = usesOfWeight(problem, wo, wc, kh, kw);
  const terms = [];
  for (let n = 0; n < problem.batch; n += 1) {
    for (const use of uses) {
      const grad = gradOut.at(n, use.o, use.i, use.j);
      const value = use.sh < 0 ? 0 : x.at(n, use.c, use.sh, use.sw);
      terms.push({ use, n, grad, x: value, product: grad * value });
    }
  }
  return { terms, sum: terms.reduce((sum, term) => sum + term.product, 0) };
}
