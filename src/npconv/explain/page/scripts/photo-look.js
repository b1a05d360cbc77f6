// The window under the pointer: its pixels, the kernel's numbers on them, and their sum.

import { choices, el, liveLine, replace } from "./dom.js";
import { formatFactor, formatNumber } from "./numbers.js";
import { css, inkOn } from "./palette.js";
import { photoLevel, photoWindow } from "./photo-apply.js";

const PHOTO_CHANNELS = ["red", "green", "blue"];

/** Return { element, show } of the look; show({ image, kernel, mode, shown, pixel, grey, spoken }). */
export function photoLook() {
  let channel = 0;
  let last = null;
  const channels = choices("Channel", { options: PHOTO_CHANNELS.map((label, value) => (
    { value, label })), get: () => channel, set: (value) => { channel = value; show(last); },
  visible: false });
  const title = el("h3", {}, "One pixel");
  const place = el("span", { class: "caption" });
  const table = el("div", { class: "photo-window", "aria-hidden": true });
  const line = liveLine({ class: "photo-line" });
  const element = el("div", { class: "photo-look stack" },
    el("div", { class: "photo-look-head" }, el("div", {}, title, place), channels.element),
    table, line.element);
  let cells = [];

  function fit(side) {
    if (cells.length === side * side) return;
    cells = Array.from({ length: side * side }, () => {
      const [value, factor] = [el("b"), el("span")];
      return { box: el("div", { class: "photo-cell" }, value, factor), value, factor };
    });
    table.style.setProperty("--side", side);
    replace(table, cells.map(({ box }) => box));
  }

  function show(look) {
    if (!look) return;
    last = look;
    const { image, kernel, mode, shown, pixel, grey, spoken } = look;
    channels.element.hidden = grey;
    const plane = grey ? 0 : channel;
    const seen = photoWindow(image, plane, kernel.side, mode, pixel.i, pixel.j);
    fit(kernel.side);
    let sum = 0;
    seen.forEach(({ value, colour, padded }, at) => {
      const factor = kernel.numbers[at];
      sum += value * factor;
      const { box, value: big, factor: small } = cells[at];
      box.style.background = css(colour);
      box.style.color = css(inkOn(colour));
      box.classList.toggle("padded", padded);
      box.classList.toggle("unused", factor === 0);
      big.textContent = value;
      small.textContent = `× ${formatNumber(factor, 2)}`;
    });
    place.textContent = `row ${pixel.i}, column ${pixel.j}${grey ? "" : `, ${PHOTO_CHANNELS[plane]}`}`;
    const result = sum / kernel.divisor;
    line.show(photoSum(seen, kernel, sum), el("p", { class: "photo-result" },
      shown === "diverging" ? "" : photoShownText(result, shown)));
    if (spoken) {
      line.say(`Row ${pixel.i}, column ${pixel.j}: the sum is ${formatNumber(result, 4)}${
        shown === "diverging" ? "" : `, shown as ${photoLevel(result, shown)}`}.`);
    }
  }

  return { element, show: (look) => show(look), channel: () => channel };
}

/** The sum written out, where it has few enough terms. */
function photoSum(seen, kernel, sum) {
  const used = seen.map(({ value }, at) => [kernel.numbers[at], value]).filter(([n]) => n !== 0);
  const divided = kernel.divisor === 1 ? "" : ` / ${formatNumber(kernel.divisor, 4)}`;
  const result = el("b", { text: formatNumber(sum / kernel.divisor, 5) });
  if (used.length > 9 || !used.length) {
    const parts = `${used.length} products add up to ${formatNumber(sum, 6)}`;
    return el("p", { class: "mono" }, divided ? [parts, `${divided} = `] : `${used.length} products add up to `,
      result);
  }
  const terms = used.map(([factor, value], at) => [at ? " + " : "",
    el("span", { class: "term" }, `${formatFactor(factor, 3)}·${value}`)]);
  return el("p", { class: "mono" }, divided && "(", terms, divided && `)${divided}`, " = ", result);
}

function photoShownText(result, shown) {
  const level = photoLevel(result, shown);
  const way = { clip: "cut to 0 … 255", abs: "without its sign, cut at 255", offset: "128 added, "
    + "cut to 0 … 255" }[shown];
  return `Shown as ${level}: ${way}, rounded.`;
}
