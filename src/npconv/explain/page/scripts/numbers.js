// Numbers: made from a seed, the same in every visit, and written for people.

/** Return a 32-bit hash of integers: what is drawn for a cell depends on its place alone. */
export function hashIntegers(...values) {
  let hash = 0x811c9dc5;
  for (const value of values) {
    hash = Math.imul(hash ^ value, 0x01000193);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x2c1b3c6d);
    hash ^= hash >>> 12;
  }
  return hash >>> 0;
}

/** Return a generator of numbers in [0, 1): the same ones for the same seed (mulberry32). */
export function createGenerator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Return the small integer of a cell: 0 to 9 in x, -2 to 2 in weight, -3 to 3 in a gradient. */
export function cellInteger(tensor, index) {
  const [seed, least, most] = { x: [1, 0, 9], weight: [2, -2, 2] }[tensor] ?? [3, -3, 3];
  return least + (hashIntegers(seed, ...index) % (most - least + 1));
}

/** Return a number in at most `digits` significant digits, with a true minus: "−0.25". */
export function formatNumber(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−").replace("Infinity", "∞");
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value).replace("-", "−");
  const rounded = Number(value.toPrecision(digits));
  const plain = size >= 1e-4 && size < 1e6;
  const text = plain ? String(rounded) : rounded.toExponential().replace("e+", "e");
  return text.replaceAll("-", "−");
}

/** Return a number for the middle of a sum: in brackets where it is negative. */
export function formatFactor(value, digits = 4) {
  const text = formatNumber(value, digits);
  return text.startsWith("−") ? `(${text})` : text;
}

/** Return a whole number with its thousands apart: "1,234,567". */
export function formatCount(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",").replace("-", "−");
}

/** Return bytes as a short text, in powers of 1024: "3.5 KiB". */
export function formatBytes(nbytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let [value, power] = [nbytes, 0];
  while (value >= 1024 && power < units.length - 1) [value, power] = [value / 1024, power + 1];
  return `${power && value < 1000 ? Number(value.toPrecision(3)) : Math.round(value)} ${units[power]}`;
}

/** Return seconds as a short text with its unit: "12.5 µs". */
export function formatSeconds(seconds) {
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
  const [scale, unit] = units.find(([least]) => seconds >= least) ?? [1e-9, "ns"];
  return `${Number((seconds / scale).toPrecision(3))} ${unit}`;
}
