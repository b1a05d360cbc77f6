// The kernels of the photo: npconv's named ones, their numbers as edited, and their Python spelling.

import { formatNumber } from "./numbers.js";

const PHOTO_IDENTITY = { name: "identity", rows: [[0, 0, 0], [0, 1, 0], [0, 0, 0]], divisor: 1,
  purpose: "changes nothing", signed: "clip" };

/** Return [{ name, label, side, numbers, divisor, purpose, signed }] of what npconv wrote. */
export function photoKernels(given) {
  const named = given.kernels ?? given.photo?.kernels ?? [];
  return [PHOTO_IDENTITY, ...named].filter(({ rows }) => (
    rows.length % 2 && rows[0].length % 2 && Math.max(rows.length, rows[0].length) <= 7)).map(
    ({ rows, divisor = 1, name, purpose = "", signed = "clip" }) => {
      const side = Math.max(rows.length, rows[0].length, 3);
      return { name, label: photoLabel(name), side, purpose, signed,
        divisor, numbers: photoResized(rows.flat(), rows.length, rows[0].length, side) };
    });
}

/** Return numbers of rows x columns set in the middle of a square; what does not fit is cut. */
export function photoResized(numbers, rows, columns, side) {
  const made = new Array(side * side).fill(0);
  const [down, across] = [(side - rows) / 2, (side - columns) / 2];
  numbers.forEach((value, at) => {
    const i = Math.floor(at / columns) + down;
    const j = (at % columns) + across;
    if (i >= 0 && j >= 0 && i < side && j < side) made[i * side + j] = value;
  });
  return made;
}

/** Return whether two kernels have the same numbers, their divisors minded. */
export function photoSame(a, b) {
  return a.side === b.side && a.divisor === b.divisor
    && a.numbers.every((value, at) => value === b.numbers[at]);
}

/** Return one sentence about what the numbers add up to. */
export function photoSumText({ numbers, divisor }) {
  const sum = numbers.reduce((total, value) => total + value, 0) / divisor;
  if (Math.abs(sum - 1) < 1e-4) return "The numbers add up to 1: flat areas keep their brightness.";
  if (Math.abs(sum) < 1e-4) return "The numbers add up to 0: flat areas vanish, only change is left.";
  return `The numbers add up to ${formatNumber(sum, 3)}: flat areas become that many times as bright.`;
}

/** Return one sentence about whether turning the kernel matters. */
export function photoTurnText({ numbers }) {
  const turned = [...numbers].reverse();
  if (numbers.every((value, at) => value === turned[at])) {
    return "This kernel looks the same turned by 180°: both give the same picture.";
  }
  if (numbers.every((value, at) => value === -turned[at])) {
    return "Turned by 180° this kernel changes its sign, and so does every sum.";
  }
  return "This kernel looks different turned by 180°, and so does its picture.";
}

/** Return the Python lines that do to `image` what is shown. */
export function photoPython({ kernel, name, signedOfName, turn, mode, shown }) {
  const { side, numbers, divisor } = kernel;
  const rows = Array.from({ length: side }, (_, i) => (
    `[${numbers.slice(i * side, (i + 1) * side).join(", ")}]`));
  const inline = side === 3 ? `[${rows.join(", ")}]` : `[\n    ${rows.join(",\n    ")},\n]`;
  const lines = ["from npconv import images", ""];
  let word = "kernel";
  if (name && !turn && name !== "identity") word = `"${name}"`;
  else {
    const array = divisor === 1 && !turn ? inline : `np.array(${inline})`;
    lines.push(`kernel = ${array}${turn ? "[::-1, ::-1]" : ""}${divisor === 1 ? "" : ` / ${divisor}`}`);
    if (array !== inline) lines.unshift("import numpy as np");
  }
  const args = [shown === "diverging" ? "image.astype(float)" : "image", word];
  if (mode !== "symmetric") args.push(`border="${mode}"`);
  const plain = word === "kernel" ? "clip" : signedOfName;
  if (shown !== "diverging" && shown !== plain) args.push(`signed="${shown}"`);
  lines.push(`result = images.apply(${args.join(", ")})`);
  return lines.join("\n");
}

/** Return a kernel's name as a short text: "gaussian:sigma=0.5" is "gaussian 0.5". */
function photoLabel(name) {
  return name.replace(/:[a-z]+=([^,]*).*/, " $1").replaceAll("-", " ");
}
