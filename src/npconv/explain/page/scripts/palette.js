// The colours of the canvases: read from the page's tokens, so that light and dark have one source.

const PALETTE_TOKENS = {
  paper: "--paper", surface: "--surface", cell: "--cell", ink: "--ink", quiet: "--ink-quiet",
  faint: "--ink-faint", line: "--line", strong: "--line-strong", accent: "--accent",
  accentInk: "--accent-ink", positive: "--positive", negative: "--negative", hatch: "--hatch",
  padded: "--padded", warn: "--warn",
};

let paletteKept = { key: "", colours: null };

/**
 * Return the tokens as { paper, surface, cell, ink, quiet, faint, line, strong, accent, accentInk,
 * positive, negative, hatch, padded, warn }: each a list [red, green, blue] of 0 to 255.
 */
export function palette() {
  // light-dark() is settled only in a property that is a colour, so a probe wears each token.
  const { backgroundColor: key } = getComputedStyle(document.documentElement);
  if (paletteKept.key !== key || !paletteKept.colours) {
    const probe = document.createElement("i");
    probe.hidden = true;
    document.body.append(probe);
    const settled = getComputedStyle(probe);
    const entries = Object.entries(PALETTE_TOKENS).map(([name, token]) => {
      probe.style.color = `var(${token})`;
      return [name, paletteParse(settled.color)];
    });
    probe.remove();
    paletteKept = { key, colours: Object.fromEntries(entries) };
  }
  return paletteKept.colours;
}

function paletteParse(text) {
  const numbers = text.match(/[\d.]+/g)?.slice(0, 3).map(Number);
  return numbers?.length === 3 ? numbers : [128, 128, 128];
}

/** Return two colours mixed: the second's share is between 0 and 1. */
export function mix(first, second, share) {
  return first.map((value, at) => value + (second[at] - value) * share);
}

/** Return a colour as CSS text. */
export function css([red, green, blue], alpha = 1) {
  return `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)} / ${alpha})`;
}

/** Return the colour of a number: diverging round 0; share is value / largest magnitude, -1 to 1. */
export function divergingColour(share, colours = palette()) {
  const size = Math.min(Math.abs(share), 1);
  const end = share < 0 ? colours.negative : colours.positive;
  return mix(colours.cell, end, Number.isNaN(size) ? 0 : 0.85 * size ** 0.8);
}

/** Return the WCAG luminance of a colour, 0 to 1. */
export function luminance(colour) {
  const [red, green, blue] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Return black or white, or nearly: whichever reads better on a colour. */
export function inkOn(colour) {
  return luminance(colour) > 0.2 ? [20, 22, 28] : [255, 255, 255];
}

/** Return a canvas pattern that hatches padded cells by their mode, in device pixels. */
export function hatchPattern(context, mode, colour, ratio) {
  const side = Math.round(7 * ratio);
  const tile = document.createElement("canvas");
  tile.width = side;
  tile.height = side;
  const pen = tile.getContext("2d");
  pen.strokeStyle = css(colour);
  pen.fillStyle = css(colour);
  pen.lineWidth = Math.max(1, ratio * 0.9);
  const strokes = {
    zeros: [[-1, 1, 1, -1], [0, 1, 1, 0], [0, 2, 2, 0]],
    reflect: [[-1, 0, 1, 2], [0, 0, 1, 1], [0, -1, 2, 1]],
    symmetric: [[0, 0, 1, 1], [0, 1, 1, 0]],
    wrap: [[0.5, 0, 0.5, 1]],
  }[mode] ?? [];
  pen.beginPath();
  for (const [x0, y0, x1, y1] of strokes) {
    pen.moveTo(x0 * side, y0 * side);
    pen.lineTo(x1 * side, y1 * side);
  }
  pen.stroke();
  if (mode === "edge") {
    pen.beginPath();
    pen.arc(side / 2, side / 2, ratio * 1.1, 0, 2 * Math.PI);
    pen.fill();
  }
  return context.createPattern(tile, "repeat");
}
