// What the geometry on screen does to the gradients, in a few sentences.

/** Return sentences on the backward maps of the state's problem. */
export function backStory() {
  return "Each cell of grad_x gathers grad_out times the tap with which its window read x.";
}
