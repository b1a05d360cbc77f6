// The painting of grids: planes of cells side by side, on a canvas.

import { formatNumber } from "./numbers.js";
import { css, divergingColour, hatchPattern, inkOn, mix, palette } from "./palette.js";

const PAINT_GAP = 18; // CSS pixels between planes
const PAINT_EDGE = 4; // round everything, so that outlines are not cut
const PAINT_CAPTION = 20;
const PAINT_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";

/**
 * Return where everything lies: { cell, planes, perRow, rows, columns, first, width, height, caption }.
 *
 * `first` is [row, column] of the first cell drawn (negative in the padding), `rows` and `columns`
 * count the cells of a plane drawn; lengths are in CSS pixels.
 */
export function gridLayout({ shape, pad, captions, available, most = 36, least = 15, planes = 0 }) {
  const [count, height, width] = shape;
  const [[top, bottom], [left, right]] = pad;
  const first = [Math.min(-top, 0), Math.min(-left, 0)];
  const rows = height + Math.max(bottom, 0) - first[0];
  const columns = width + Math.max(right, 0) - first[1];
  const room = available - 2 * PAINT_EDGE;
  const cellAt = (perRow) => Math.min(most,
    Math.floor((room - (perRow - 1) * PAINT_GAP) / (perRow * columns)));
  let perRow = planes ? Math.min(planes, count) : count;
  // Side by side while the numbers can be read; then fewer in a row.
  while (perRow > 1 && cellAt(perRow) < Math.min(27, most)) perRow -= 1;
  if (cellAt(perRow) < Math.min(27, most) && !planes) {
    const best = Math.max(cellAt(1), least);
    while (perRow < count && cellAt(perRow + 1) >= best) perRow += 1;
  }
  const cell = Math.max(cellAt(perRow), least);
  const lines = Math.ceil(count / perRow);
  const caption = captions ? PAINT_CAPTION : 0;
  return { cell, perRow, rows, columns, first, caption, planes: count, shape, pad,
    width: perRow * columns * cell + (perRow - 1) * PAINT_GAP + 2 * PAINT_EDGE,
    height: lines * (rows * cell + caption) + (lines - 1) * PAINT_GAP + 2 * PAINT_EDGE };
}

/** Return the top left corner of a plane's first drawn cell, in CSS pixels. */
function paintCorner(layout, c) {
  const { cell, perRow, rows, columns, caption } = layout;
  return [PAINT_EDGE + (c % perRow) * (columns * cell + PAINT_GAP),
    PAINT_EDGE + caption + Math.floor(c / perRow) * (rows * cell + caption + PAINT_GAP)];
}

/** Return { x, y, size } of a cell in CSS pixels. */
export function gridCellBox(layout, c, i, j) {
  const [x, y] = paintCorner(layout, c);
  const { cell, first } = layout;
  return { x: x + (j - first[1]) * cell, y: y + (i - first[0]) * cell, size: cell };
}

/** Return the cell { c, i, j, padded } at a point in CSS pixels, or null. */
export function gridCellAt(layout, x, y) {
  const { cell, perRow, rows, columns, caption, planes, first } = layout;
  const across = Math.floor((x - PAINT_EDGE) / (columns * cell + PAINT_GAP));
  const down = Math.floor((y - PAINT_EDGE) / (rows * cell + caption + PAINT_GAP));
  const c = down * perRow + across;
  if (across < 0 || down < 0 || across >= perRow || c >= planes) return null;
  const [left, top] = paintCorner(layout, c);
  const [row, column] = [Math.floor((y - top) / cell), Math.floor((x - left) / cell)];
  if (row < 0 || column < 0 || row >= rows || column >= columns) return null;
  const [i, j] = [row + first[0], column + first[1]];
  return { c, i, j, padded: gridPadded(layout, i, j) };
}

/** Return whether a cell lies outside the array. */
export function gridPadded({ shape: [, height, width] }, i, j) {
  return i < 0 || j < 0 || i >= height || j >= width;
}

/** Return whether negative padding crops a cell away. */
export function gridCropped({ shape: [, height, width], pad: [[top, bottom], [left, right]] }, i, j) {
  return i < -top || j < -left || i >= height + bottom || j >= width + right;
}

/**
 * Paint everything. view: { value, mark, strength, mode, format, scale, caption } as createGrid has
 * them; context is scaled so that one unit is a CSS pixel, ratio device pixels each.
 */
export function paintGrid(context, layout, view, ratio) {
  const colours = palette();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, layout.width, layout.height);
  const hatch = hatchPattern(context, view.mode(), colours.hatch, ratio);
  hatch.setTransform(new DOMMatrix().scale(1 / ratio));
  const pen = { context, layout, view, colours, hatch, most: view.scale() };
  for (let c = 0; c < layout.planes; c += 1) paintPlane(pen, c);
}

function paintPlane(pen, c) {
  const { context, layout, view, colours } = pen;
  const { first, rows, columns, cell, shape } = layout;
  const text = layout.caption ? view.caption(c) : "";
  const corner = paintCorner(layout, c);
  if (text) {
    context.font = "12px ui-sans-serif, system-ui, sans-serif";
    context.fillStyle = css(colours.quiet);
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText(text, corner[0] + 1, corner[1] - 7, columns * cell);
  }
  const marks = [];
  // One path of all borders is far quicker than a stroke a cell.
  Object.assign(pen, { solid: new Path2D(), dashed: new Path2D(), font: "" });
  for (let i = first[0]; i < first[0] + rows; i += 1) {
    const line = [];
    for (let j = first[1]; j < first[1] + columns; j += 1) {
      const mark = view.mark(c, i, j) || "";
      line.push(mark);
      paintCell(pen, c, i, j, mark);
    }
    marks.push(line);
  }
  context.strokeStyle = css(colours.line);
  context.lineWidth = 1;
  context.stroke(pen.solid);
  context.setLineDash([2, 2]);
  context.stroke(pen.dashed);
  context.setLineDash([]);
  // The array's own edge, where there is padding round it.
  if (first[0] < 0 || first[1] < 0 || rows > shape[1] || columns > shape[2]) {
    const { x, y } = gridCellBox(layout, c, 0, 0);
    context.strokeStyle = css(colours.strong);
    context.lineWidth = 1.5;
    context.strokeRect(x, y, shape[2] * cell, shape[1] * cell);
  }
  for (const [name, style] of Object.entries(PAINT_OUTLINES)) {
    paintOutline(pen, c, marks, name, style);
  }
}

const PAINT_OUTLINES = {
  read: { width: 2, dash: [3, 2], inset: 2.5 },
  window: { width: 2, dash: [], inset: 0 },
  hit: { width: 2.5, dash: [], inset: 1.25 },
  focus: { width: 3.5, dash: [], inset: 1.5, each: true },
};

function paintCell(pen, c, i, j, mark) {
  const { context, layout, view, colours, hatch, most } = pen;
  const { x, y, size } = gridCellBox(layout, c, i, j);
  const [outside, cropped] = [gridPadded(layout, i, j), gridCropped(layout, i, j)];
  const strength = view.strength ? view.strength(c, i, j) : null;
  const value = mark.includes("hole") ? NaN : view.value(c, i, j);
  let fill = divergingColour(most ? value / most : 0, colours);
  if (strength !== null) fill = mix(colours.cell, colours.accent, 0.75 * Math.min(strength, 1));
  if (outside) fill = mix(fill, colours.padded, 0.6);
  if (mark.includes("dim") || cropped) fill = mix(fill, colours.surface, 0.65);
  context.fillStyle = css(fill);
  context.fillRect(x, y, size, size);
  if (outside) {
    context.fillStyle = hatch;
    context.fillRect(x, y, size, size);
  }
  pen[outside ? "dashed" : "solid"].rect(x + 0.5, y + 0.5, size - 1, size - 1);
  if (cropped || mark.includes("cut")) {
    context.beginPath();
    context.moveTo(x + 3, y + 3);
    context.lineTo(x + size - 3, y + size - 3);
    context.moveTo(x + size - 3, y + 3);
    context.lineTo(x + 3, y + size - 3);
    context.strokeStyle = css(colours.quiet, 0.7);
    context.stroke();
  }
  if (mark.includes("unread")) {
    context.fillStyle = css(colours.quiet);
    for (const [dx, dy] of [[4, 4], [size - 4, 4], [4, size - 4], [size - 4, size - 4]]) {
      context.fillRect(x + dx - 1, y + dy - 1, 2, 2);
    }
  }
  if (size < 15) return;
  const said = mark.includes("hole") ? { text: "·", font: 12 } : paintFitted(value, size, view);
  if (!said) return;
  let ink = inkOn(fill);
  if (outside) {
    // A quiet plate keeps the number readable on its hatch.
    const wide = Math.min(said.text.length * said.font * 0.62 + 5, size - 2);
    context.fillStyle = css(fill, 0.85);
    context.fillRect(x + (size - wide) / 2, y + size / 2 - said.font * 0.62, wide, said.font * 1.24);
  }
  if (mark.includes("dim") || cropped) ink = mix(fill, ink, 0.62);
  context.fillStyle = css(ink);
  if (pen.font !== said.font) {
    pen.font = said.font;
    context.font = `${said.font}px ${PAINT_FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
  }
  context.fillText(said.text, x + size / 2, y + size / 2 + 0.5);
}

/** Return { text, font } of a number as exactly as the cell has room for, or null. */
function paintFitted(value, size, view) {
  const room = size - 4;
  const liked = Math.min(Math.max(size * 0.38, 9), 14);
  const fitted = (text) => {
    // Steps of half a pixel: few fonts are set then.
    const font = Math.floor(2 * Math.min(liked, room / (text.length * 0.61))) / 2;
    return font >= 8.5 || (font >= 7 && size < 22) ? { text, font } : null;
  };
  if (view.format) {
    const own = fitted(view.format(value));
    if (own || !Number.isFinite(value)) return own;
  }
  for (const digits of [4, 3, 2, 1]) {
    const found = fitted(formatNumber(value, digits));
    if (found || (Number.isInteger(value) && Math.abs(value) < 1e6)) return found;
  }
  return fitted(formatNumber(value, 1).replace(/^(−?)0\./, "$1."));
}

/** Draw round the cells that carry a mark: one line round each region, or round each cell. */
function paintOutline({ context, layout, colours }, c, marks, name, { width, dash, inset, each }) {
  const has = (row, column) => (` ${marks[row]?.[column] ?? ""} `).includes(` ${name} `);
  const { first, cell } = layout;
  let any = false;
  context.beginPath();
  marks.forEach((line, row) => line.forEach((_, column) => {
    if (!has(row, column)) return;
    any = true;
    const { x, y } = gridCellBox(layout, c, row + first[0], column + first[1]);
    if (each) {
      context.rect(x + inset, y + inset, cell - 2 * inset, cell - 2 * inset);
      return;
    }
    const open = { up: !has(row - 1, column), down: !has(row + 1, column),
      left: !has(row, column - 1), right: !has(row, column + 1) };
    const [x0, x1] = [x + (open.left ? inset : 0), x + cell - (open.right ? inset : 0)];
    const [y0, y1] = [y + (open.up ? inset : 0), y + cell - (open.down ? inset : 0)];
    const side = (on, ax, ay, bx, by) => {
      if (!on) return;
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
    };
    side(open.up, x0, y0, x1, y0);
    side(open.down, x0, y1, x1, y1);
    side(open.left, x0, y0, x0, y1);
    side(open.right, x1, y0, x1, y1);
  }));
  if (!any) return;
  context.setLineDash(dash);
  context.lineCap = "square";
  // A halo of the page's colour keeps the line visible on any cell.
  context.strokeStyle = css(colours.surface, 0.9);
  context.lineWidth = width + 2;
  if (!dash.length) context.stroke();
  context.strokeStyle = css(colours.accent);
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}
