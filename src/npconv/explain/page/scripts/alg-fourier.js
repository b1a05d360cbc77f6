// Discrete Fourier transforms of small images, by the definition along each axis.

/** Return the least length >= n with no prime factor above 5: what transforms quickly. */
export function algFastLength(n) {
  for (let length = Math.max(n, 1); ; length += 1) {
    let rest = length;
    for (const factor of [2, 3, 5]) while (rest % factor === 0) rest /= factor;
    if (rest === 1) return length;
  }
}

/** Return { re, im } of a complex line's transform; sign -1 forward, 1 back (without 1 / n). */
function algLineTransform(re, im, sign) {
  const n = re.length;
  const [outRe, outIm] = [new Float64Array(n), new Float64Array(n)];
  const cosine = Float64Array.from({ length: n }, (_, at) => Math.cos((2 * Math.PI * at) / n));
  const sine = Float64Array.from({ length: n }, (_, at) => Math.sin((2 * Math.PI * at) / n) * sign);
  for (let f = 0; f < n; f += 1) {
    let [a, b] = [0, 0];
    for (let at = 0, turn = 0; at < n; at += 1) {
      a += re[at] * cosine[turn] - im[at] * sine[turn];
      b += re[at] * sine[turn] + im[at] * cosine[turn];
      turn += f;
      if (turn >= n) turn -= n;
    }
    outRe[f] = a;
    outIm[f] = b;
  }
  return { re: outRe, im: outIm };
}

/** Return the transform { re, im } of a complex image, high x wide in row-major order. */
export function algTransform({ re, im }, [high, wide], sign = -1) {
  const result = { re: Float64Array.from(re), im: Float64Array.from(im) };
  const along = (count, length, start, step) => {
    for (let line = 0; line < count; line += 1) {
      const index = Array.from({ length }, (_, at) => start(line) + at * step);
      const made = algLineTransform(
        index.map((at) => result.re[at]),
        index.map((at) => result.im[at]),
        sign,
      );
      index.forEach((at, each) => {
        result.re[at] = made.re[each];
        result.im[at] = made.im[each];
      });
    }
  };
  along(high, wide, (line) => line * wide, 1);
  along(wide, high, (line) => line, wide);
  if (sign > 0) {
    for (let at = 0; at < high * wide; at += 1) {
      result.re[at] /= high * wide;
      result.im[at] /= high * wide;
    }
  }
  return result;
}

/** Add a times the conjugate of b to total: a product of spectra that correlates. */
export function algAddProduct(total, a, b) {
  for (let at = 0; at < total.re.length; at += 1) {
    total.re[at] += a.re[at] * b.re[at] + a.im[at] * b.im[at];
    total.im[at] += a.im[at] * b.re[at] - a.re[at] * b.im[at];
  }
}

/** Return a complex image of zeros. */
export function algComplex(length) {
  return { re: new Float64Array(length), im: new Float64Array(length) };
}
