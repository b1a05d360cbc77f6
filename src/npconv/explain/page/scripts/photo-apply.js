// A kernel laid over a picture by the naive definition, in slices that leave the page responsive.

import { sourceIndex } from "./geometry.js";
import { divergingColour, palette } from "./palette.js";

const PHOTO_SLICE = 9; // milliseconds of work between two rests
export const PHOTO_MOST = 512; // pixels of a picture's longer side

/** Return { width, height, planes }: red, green and blue, 0 to 255, of a canvas. */
export function photoPlanes(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const planes = [0, 1, 2].map(() => new Float32Array(width * height));
  for (let at = 0; at < width * height; at += 1) {
    for (let c = 0; c < 3; c += 1) planes[c][at] = data[4 * at + c];
  }
  return { width, height, planes };
}

/** Return a kernel turned by 180 degrees, which makes correlation convolution. */
export function photoTurned(numbers) {
  return [...numbers].reverse();
}

/** Return one plane with `reach` pixels more on each side, by a padding mode. */
function photoPadded(plane, width, height, reach, mode) {
  const wide = width + 2 * reach;
  const high = height + 2 * reach;
  const padded = new Float32Array(wide * high);
  const columns = Int32Array.from({ length: wide }, (_, j) => sourceIndex(mode, width, j - reach));
  for (let i = 0; i < high; i += 1) {
    const row = sourceIndex(mode, height, i - reach);
    if (row < 0) continue;
    for (let j = 0; j < wide; j += 1) {
      if (columns[j] >= 0) padded[i * wide + j] = plane[row * width + columns[j]];
    }
  }
  return padded;
}

/**
 * Return the planes of signed sums, or null where `alive` says that nobody waits any more.
 *
 * numbers: side * side, row by row, laid on as written; every sum is divided by divisor.
 */
export async function photoFilter({ width, height, planes }, kernel, mode, alive) {
  const { numbers, side, divisor } = kernel;
  const reach = (side - 1) / 2;
  const wide = width + 2 * reach;
  const made = [];
  let begun = performance.now();
  for (const plane of planes) {
    const padded = photoPadded(plane, width, height, reach, mode);
    const sums = new Float32Array(width * height);
    for (let i = 0; i < height; i += 1) {
      for (let j = 0; j < width; j += 1) {
        let sum = 0;
        for (let r = 0, tap = 0; r < side; r += 1) {
          const start = (i + r) * wide + j;
          for (let s = 0; s < side; s += 1, tap += 1) sum += numbers[tap] * padded[start + s];
        }
        sums[i * width + j] = sum / divisor;
      }
      if (performance.now() - begun > PHOTO_SLICE) {
        await new Promise((resolve) => { setTimeout(resolve); });
        if (!alive()) return null;
        begun = performance.now();
      }
    }
    made.push(sums);
  }
  return made;
}

/** The ways of showing signed sums: [name, label, what it does]. */
export const PHOTO_SHOWN = [
  ["clip", "Clipped", "Below 0 is black, above 255 full."],
  ["abs", "Absolute", "The sign is dropped: strong either way is bright."],
  ["offset", "On mid-grey", "128 is added: 0 is grey, less is darker, more is lighter."],
  ["diverging", "Two colours", "Colour is the sign, strength the size; the channels' mean."],
];

/** Return the number that is shown for a sum: 0 to 255, halves rounded to even. */
export function photoLevel(sum, shown) {
  const level = shown === "abs" ? Math.abs(sum) : shown === "offset" ? sum + 128 : sum;
  return Uint8ClampedArray.of(level)[0];
}

/** Draw planes of sums on a canvas. */
export function photoDraw(canvas, planes, shown) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const { data } = picture;
  if (shown === "diverging") photoDiverging(data, planes);
  else {
    for (let at = 0; at < width * height; at += 1) {
      for (let c = 0; c < 3; c += 1) {
        const sum = planes[c][at];
        data[4 * at + c] = shown === "abs" ? Math.abs(sum) : shown === "offset" ? sum + 128 : sum;
      }
      data[4 * at + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
}

function photoDiverging(data, planes) {
  const count = planes[0].length;
  const means = Float32Array.from({ length: count }, (_, at) => (
    (planes[0][at] + planes[1][at] + planes[2][at]) / 3));
  let most = 0;
  for (const mean of means) most = Math.max(most, Math.abs(mean));
  // The strongest few would leave all else pale.
  const scale = Math.max(most * 0.6, 1e-6);
  const colours = palette();
  const table = Array.from({ length: 513 }, (_, at) => divergingColour((at - 256) / 256, colours));
  for (let at = 0; at < count; at += 1) {
    const share = Math.min(Math.max(means[at] / scale, -1), 1);
    const colour = table[Math.round(share * 256) + 256];
    for (let c = 0; c < 3; c += 1) data[4 * at + c] = colour[c];
    data[4 * at + 3] = 255;
  }
}

/** Return the window's [{ i, j, value, padded }] round a pixel, row by row. */
export function photoWindow({ width, height, planes }, channel, side, mode, i, j) {
  const reach = (side - 1) / 2;
  const cells = [];
  for (let r = -reach; r <= reach; r += 1) {
    for (let s = -reach; s <= reach; s += 1) {
      const row = sourceIndex(mode, height, i + r);
      const column = sourceIndex(mode, width, j + s);
      const zero = row < 0 || column < 0;
      const padded = i + r < 0 || j + s < 0 || i + r >= height || j + s >= width;
      const at = row * width + column;
      cells.push({ i: i + r, j: j + s, padded, value: zero ? 0 : planes[channel][at],
        colour: planes.map((plane) => (zero ? 0 : plane[at])) });
    }
  }
  return cells;
}
