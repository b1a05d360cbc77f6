// A photo: kernels laid over a real picture, their numbers to be changed, signed results by choice.

import { copyButton } from "./copy.js";
import { choices, el, select, svg } from "./dom.js";
import { MODES } from "./geometry.js";
import { linkChanged, linkRegister } from "./link.js";
import {
  PHOTO_MOST, PHOTO_SHOWN, photoDraw, photoFilter, photoPlanes, photoTurned,
} from "./photo-apply.js";
import { photoKernels, photoPython, photoSame, photoSumText, photoTurnText } from "./photo-kernels.js";
import { photoLook } from "./photo-look.js";
import { photoNumbers } from "./photo-numbers.js";
import { photoPicture } from "./photo-picture.js";
import { photoScene } from "./photo-scene.js";

/** Build the section in host. */
export function mountPhoto(host, store, given) {
  const kernels = photoKernels(given);
  const start = kernels.find(({ name }) => name === "sobel") ?? kernels[0];
  const state = { kernel: start, turn: false, mode: "symmetric", shown: start.signed, pixel: null,
    image: null, grey: false, sums: null };
  const look = photoLook();
  const picture = photoPicture({ onLook: (pixel, spoken) => {
    if (pixel) state.pixel = pixel;
    showLook(spoken);
  } });
  const named = () => kernels.find((each) => photoSame(each, state.kernel));
  const laid = () => (state.turn
    ? { ...state.kernel, numbers: photoTurned(state.kernel.numbers) } : state.kernel);
  const set = (patch, work = true) => {
    Object.assign(state, patch);
    refresh();
    if (work) compute();
    else draw();
    linkChanged();
  };

  const names = choices("Kernel", { options: kernels.map(({ name, label }) => (
    { value: name, label })), get: () => named()?.name, visible: false, set: (name) => {
    const kernel = kernels.find((each) => each.name === name);
    set({ kernel, shown: kernel.signed });
  } });
  const numbers = photoNumbers({ get: () => state.kernel, set: (kernel) => set({ kernel }) });
  const turn = choices("Laid on", { options: [{ value: false, label: "as written (correlate)" },
    { value: true, label: "turned by 180° (convolve)" }], get: () => state.turn,
  set: (value) => set({ turn: value }) });
  const mode = select("Beyond the border", { options: MODES, get: () => state.mode,
    set: (value) => set({ mode: value }) });
  const shown = choices("Signed results", { options: PHOTO_SHOWN.map(([value, label]) => (
    { value, label })), get: () => state.shown, set: (value) => set({ shown: value }, false) });
  const [purpose, sumNote, turnNote, shownNote] = [0, 1, 2, 3].map(() => el("p", { class: "note" }));
  const code = el("pre", { class: "call-code", tabIndex: 0, role: "region",
    "aria-label": "The call for this picture" });
  const source = photoSource((canvas) => take(canvas));

  picture.element.append(el("div", { class: "photo-below" }, el("div", {}, shown.element, shownNote),
    source));
  host.append(el("div", { class: "photo-names" }, names.element, purpose),
    el("div", { class: "photo" }, el("div", { class: "stack" }, picture.element,
      el("div", { class: "panel" }, look.element)),
    el("div", { class: "panel stack photo-kernel" }, numbers.element, sumNote, turn.element,
      turnNote, mode.element)),
    el("div", { class: "call-frame photo-code" }, code, copyButton("Copy",
      () => `${code.textContent}\n`, "Call copied.", { class: "call-copy",
        "aria-label": "Copy the call for this picture" })));

  function refresh() {
    for (const control of [names, numbers, turn, mode, shown]) control.refresh();
    const known = named();
    purpose.textContent = known?.purpose ? `${photoCapital(known.purpose)}.` : "Your own numbers.";
    sumNote.textContent = photoSumText(state.kernel);
    turnNote.textContent = photoTurnText(state.kernel);
    shownNote.textContent = PHOTO_SHOWN.find(([name]) => name === state.shown)[2];
    code.textContent = photoPython({ ...state, name: known?.name, signedOfName: known?.signed });
  }

  let wanted = 0;
  async function compute() {
    if (!state.image) return;
    wanted += 1;
    const mine = wanted;
    showLook(false);
    const sums = await photoFilter(state.image, laid(), state.mode, () => mine === wanted);
    if (!sums) return;
    state.sums = sums;
    if (!state.pixel) state.pixel = photoTelling(sums, state.image);
    draw();
  }

  function draw() {
    if (state.sums) photoDraw(picture.after, state.sums, state.shown);
    showLook(false);
  }

  function showLook(spoken) {
    const { image, mode: border, shown: how, pixel, grey } = state;
    if (!image || !pixel) return;
    picture.mark(pixel, state.kernel.side);
    look.show({ image, kernel: laid(), mode: border, shown: how, pixel, grey, spoken });
  }

  /** Take a canvas as the picture. */
  function take(canvas, part = null) {
    picture.size(canvas.width, canvas.height);
    picture.before.getContext("2d").drawImage(canvas, 0, 0);
    const image = photoPlanes(canvas);
    const [red, green, blue] = image.planes;
    const grey = red.every((value, at) => value === green[at] && value === blue[at]);
    Object.assign(state, { image, grey, pixel: null, sums: null });
    picture.part(part);
    compute();
  }

  linkRegister("photo", photoLink(state, kernels, start, () => set({})));
  document.addEventListener("themechange", () => { if (state.shown === "diverging") draw(); });
  refresh();
  const { data, crop, original } = given.photo ?? {};
  const part = crop && original && crop.map((pixels, at) => pixels / original[at % 2]);
  if (data) photoLoad(data).then((canvas) => take(canvas, part), () => take(photoScene()));
  else take(photoScene());
}

/** Return the pixel of the picture's middle whose sum is nearest to 200: one that shows something. */
function photoTelling([sums], { width, height }) {
  let [best, least] = [{ i: 0, j: 0 }, Infinity];
  for (let i = Math.floor(height / 5); i < (4 * height) / 5; i += 1) {
    for (let j = Math.floor(width / 2); j < (9 * width) / 10; j += 1) {
      const off = Math.abs(Math.abs(sums[i * width + j]) - 200);
      if (off < least) [best, least] = [{ i, j }, off];
    }
  }
  return best;
}

/** Return the button that opens a picture of the reader's; it stays in the browser. */
function photoSource(take) {
  const input = el("input", { type: "file", accept: "image/*", class: "visually-hidden",
    onChange: async () => {
      const [file] = input.files;
      if (!file) return;
      const uri = URL.createObjectURL(file);
      try {
        take(await photoLoad(uri));
        note.textContent = "It stays in your browser.";
      } catch {
        note.textContent = `${file.name} is no picture that this browser reads.`;
      }
      URL.revokeObjectURL(uri);
      input.value = "";
    } });
  const note = el("span", { class: "caption", role: "status" });
  const icon = svg("svg", { viewBox: "0 0 20 20", width: 16, height: 16, "aria-hidden": true },
    svg("path", { d: "M3 4h14v12H3zM3 13l4-4 4 4 2-2 4 4M13 8h.01", fill: "none",
      stroke: "currentColor", "stroke-width": 1.6, "stroke-linejoin": "round",
      "stroke-linecap": "round" }));
  return el("div", { class: "photo-source" }, el("label", { class: "button photo-open" }, input, icon,
    "Open your own picture"), note);
}

/** Return a canvas with the picture at a data or blob address, its longer side at most PHOTO_MOST. */
function photoLoad(uri) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onerror = reject;
    image.onload = () => {
      const scale = Math.min(1, PHOTO_MOST / Math.max(image.naturalWidth, image.naturalHeight));
      const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => (
        Math.max(1, Math.round(side * scale))));
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      canvas.getContext("2d", { willReadFrequently: true }).drawImage(image, 0, 0, width, height);
      resolve(canvas);
    };
    image.src = uri;
  });
}

/** Return { write, read } of the photo's part of the link: pk kernel, pt turn, pm mode, ps shown. */
function photoLink(state, kernels, start, changed) {
  const write = () => {
    const { kernel, turn, mode, shown } = state;
    const known = kernels.find((each) => photoSame(each, kernel));
    const text = known?.name ?? `${kernel.side};${kernel.divisor};${kernel.numbers.join(",")}`;
    const parts = [["pk", text, start.name], ["pt", turn ? "1" : "0", "0"],
      ["pm", mode, "symmetric"], ["ps", shown, (known ?? start).signed]];
    return parts.filter(([, value, plain]) => value !== plain)
      .map(([key, value]) => `${key}=${value}`).join("&");
  };
  const read = (fields) => {
    const known = kernels.find(({ name }) => name === fields.get("pk"));
    const [side, divisor, numbers] = (fields.get("pk") ?? "").split(";");
    const values = (numbers ?? "").split(",").map((text) => (text === "" ? NaN : Number(text)));
    const sound = ["3", "5", "7"].includes(side) && Number.isFinite(Number(divisor))
      && Number(divisor) !== 0 && values.length === side ** 2 && values.every(Number.isFinite);
    if (known) Object.assign(state, { kernel: known, shown: known.signed });
    else if (sound) {
      state.kernel = { side: Number(side), divisor: Number(divisor), numbers: values };
    }
    if (MODES.includes(fields.get("pm"))) state.mode = fields.get("pm");
    if (PHOTO_SHOWN.some(([name]) => name === fields.get("ps"))) state.shown = fields.get("ps");
    state.turn = fields.get("pt") === "1";
    changed();
  };
  return { write, read };
}

function photoCapital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
