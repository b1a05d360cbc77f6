// What the geometry does to the gradients: a sentence or two each, only where it applies.

import { el } from "./dom.js";
import { storyUnread } from "./operation-story.js";
import { readCounts } from "./reach.js";

/** Return the notes of a problem as [title, text]. */
export function backwardNotes(problem) {
  const { transposed, mode, padding, stride, groups, batch } = problem;
  const counts = [0, 1].map((axis) => readCounts(problem, axis).filter(Boolean));
  const [least, most] = [Math.min, Math.max].map((of) => of(...counts[0]) * of(...counts[1]));
  const range = least === most ? String(most) : `${least} to ${most}`;
  const sides = padding.flat();
  const notes = [
    ["grad_x gathers", `A cell of x collects grad_out times weight from every product that it stood `
      + `in: ${range} for each channel of out that sees it.`],
    ["grad_weight sums", "A weight was used once in every window, so it sums grad_out times the cell "
      + `of x that it met, over all windows${batch > 1 ? " and all images" : ""}.`],
    ["grad_bias", "The bias entered every cell of its channel once: its gradient is the plain sum."],
  ];
  if (transposed) {
    notes.push(["Turned round", "A transposed convolution stamps on the way forward, so on the way "
      + "back each cell of x gathers from one ordinary window of grad_out."]);
  } else if (stride.some((step) => step > 1)) {
    notes.push(["Stride", "Windows stand apart, so neighbouring cells of x stood in different numbers "
      + "of them: the gradient has a rhythm of the stride."]);
  }
  const unread = [0, 1].map((axis) => storyUnread(problem, axis)).filter(Boolean);
  if (unread.length) {
    notes.push(["Never read", `No window reaches ${unread.join(" nor ")} of x. out does not depend on `
      + "them, so their gradient is exactly 0; they carry dots in their corners."]);
  }
  if (!transposed && sides.some((side) => side < 0)) {
    notes.push(["Cropped", "Negative padding cut the crossed cells off before any window came; they "
      + "get 0."]);
  }
  if (!transposed && sides.some((side) => side > 0)) {
    notes.push(mode === "zeros"
      ? ["Padded zeros", "What lands on a padded zero (hatched) is dropped: it is no part of x."]
      : ["Padded copies", `Padding by "${mode}" copied cells of x. What lands on a copy (hatched) is added `
        + "to the cell that it was copied from."]);
  }
  if (groups > 1) notes.push(["Groups", "Groups never meet on the way back either."]);
  return notes;
}

/** Return the notes as a list of terms and sentences. */
export function backwardNotesList(problem) {
  return backwardNotes(problem).map(([title, text]) => el("div", { class: "back-note" },
    el("dt", { text: title }), el("dd", { text })));
}
