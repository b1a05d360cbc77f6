// A picture for pages that were given none: a lighthouse, with edges, curves and fine texture.

import { createGenerator } from "./numbers.js";

const SCENE = { width: 480, height: 340, horizon: 196 };

/** Return a canvas with the scene, the same in every visit. */
export function photoScene() {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: SCENE.width, height: SCENE.height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const random = createGenerator(7);
  sceneSky(pen, random);
  sceneHills(pen);
  sceneSea(pen, random);
  sceneCliff(pen, random);
  sceneTower(pen);
  sceneHouse(pen);
  sceneFence(pen);
  sceneGrain(pen, random);
  return canvas;
}

function sceneGradient(pen, top, bottom, stops) {
  const gradient = pen.createLinearGradient(0, top, 0, bottom);
  stops.forEach((colour, at) => gradient.addColorStop(at / (stops.length - 1), colour));
  return gradient;
}

function scenePolygon(pen, points, fill) {
  pen.beginPath();
  points.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
  pen.fillStyle = fill;
  pen.fill();
}

function sceneSky(pen, random) {
  pen.fillStyle = sceneGradient(pen, 0, SCENE.horizon, ["#3f6f9f", "#8fb5cc", "#f3d3a2"]);
  pen.fillRect(0, 0, SCENE.width, SCENE.horizon);
  pen.beginPath();
  pen.arc(108, 128, 27, 0, 2 * Math.PI);
  pen.fillStyle = "#fff3d0";
  pen.fill();
  for (let cloud = 0; cloud < 5; cloud += 1) {
    const [x, y] = [40 + 95 * cloud + 40 * random(), 28 + 60 * random()];
    for (let puff = 0; puff < 9; puff += 1) {
      pen.beginPath();
      pen.ellipse(x + 62 * (random() - 0.5), y + 11 * (random() - 0.5), 14 + 18 * random(),
        5 + 6 * random(), 0, 0, 2 * Math.PI);
      pen.fillStyle = `rgb(255 250 240 / ${0.12 + 0.2 * random()})`;
      pen.fill();
    }
  }
  pen.strokeStyle = "#2b3a4a";
  pen.lineWidth = 1.6;
  for (const [x, y, size] of [[196, 62, 8], [222, 78, 6], [176, 84, 5]]) {
    pen.beginPath();
    pen.moveTo(x - size, y - size / 2);
    pen.quadraticCurveTo(x - size / 3, y - size / 1.4, x, y);
    pen.quadraticCurveTo(x + size / 3, y - size / 1.4, x + size, y - size / 2);
    pen.stroke();
  }
}

function sceneHills(pen) {
  const ridge = (base, size, wave, colour) => {
    const points = [[0, SCENE.horizon]];
    for (let x = 0; x <= SCENE.width; x += 4) {
      points.push([x, base - size * (Math.sin(x / wave) + 0.5 * Math.sin(x / (wave * 0.37) + 1))]);
    }
    scenePolygon(pen, [...points, [SCENE.width, SCENE.horizon]], colour);
  };
  ridge(178, 9, 64, "#9a9fb0");
  ridge(188, 6, 41, "#6d7c8c");
}

function sceneSea(pen, random) {
  const { width, height, horizon } = SCENE;
  pen.fillStyle = sceneGradient(pen, horizon, height, ["#c9b793", "#4f8390", "#173f52"]);
  pen.fillRect(0, horizon, width, height - horizon);
  for (let wave = 0; wave < 900; wave += 1) {
    const depth = random() ** 1.6;
    const y = horizon + 1 + depth * (height - horizon);
    const x = random() * width;
    const glitter = Math.abs(x - 108) < 20 + 60 * depth;
    pen.fillStyle = glitter && random() < 0.7 ? `rgb(255 240 205 / ${0.35 + 0.5 * random()})`
      : `rgb(${random() < 0.5 ? "10 40 58" : "170 205 210"} / ${0.15 + 0.25 * random()})`;
    pen.fillRect(x, y, 3 + 22 * depth * random(), 0.8 + 1.6 * depth);
  }
  scenePolygon(pen, [[196, 214], [232, 214], [226, 222], [203, 222]], "#2c2f3a");
  scenePolygon(pen, [[213, 172], [213, 211], [240, 211]], "#f7f4ec");
  scenePolygon(pen, [[211, 178], [211, 211], [196, 211]], "#d9603f");
}

function sceneCliff(pen, random) {
  const { width, height } = SCENE;
  const edge = [[238, height], [252, 300], [270, 286], [278, 262], [304, 246], [342, 240], [400, 244],
    [440, 236], [width, 240], [width, height]];
  scenePolygon(pen, edge, "#54503f");
  pen.save();
  pen.clip();
  for (let stone = 0; stone < 520; stone += 1) {
    const [x, y, size] = [238 + 242 * random(), 252 + 88 * random(), 2 + 9 * random()];
    const light = 55 + 70 * random();
    scenePolygon(pen, [[x, y], [x + size, y - size * 0.4 * random()], [x + size * 1.1, y + size * 0.5],
      [x + size * 0.3, y + size * 0.7]], `rgb(${light + 20} ${light + 10} ${light - 8} / 0.8)`);
  }
  pen.lineWidth = 1;
  for (let blade = 0; blade < 1500; blade += 1) {
    const x = 262 + 218 * random();
    const y = 244 + 26 * random() ** 1.5;
    pen.strokeStyle = `rgb(${60 + 70 * random()} ${100 + 70 * random()} ${40 + 30 * random()})`;
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + 5 * (random() - 0.5), y - 3 - 6 * random());
    pen.stroke();
  }
  pen.restore();
}

function sceneTower(pen) {
  const [top, base, middle] = [86, 246, 352];
  const half = (y) => 13 + 10 * ((y - top) / (base - top));
  const bands = 7;
  for (let band = 0; band < bands; band += 1) {
    const [y0, y1] = [band, band + 1].map((at) => top + (at * (base - top)) / bands);
    const [dark, light] = band % 2 ? ["#b9b4a8", "#fbf8f0"] : ["#7d1f1c", "#cf3b2f"];
    const shade = pen.createLinearGradient(middle - half(y1), 0, middle + half(y1), 0);
    [light, light, dark].forEach((colour, at) => shade.addColorStop(at / 2, colour));
    scenePolygon(pen, [[middle - half(y0), y0], [middle + half(y0), y0], [middle + half(y1), y1],
      [middle - half(y1), y1]], shade);
  }
  pen.fillStyle = "#20242c";
  pen.fillRect(middle - 19, top - 5, 38, 5);
  for (let post = -18; post <= 18; post += 6) pen.fillRect(middle + post - 0.5, top - 14, 1.2, 10);
  pen.fillRect(middle - 19, top - 15, 38, 1.6);
  pen.fillStyle = "#ffe9a3";
  pen.fillRect(middle - 9, top - 27, 18, 22);
  pen.fillStyle = "#20242c";
  for (const post of [-9, -3, 3, 8]) pen.fillRect(middle + post, top - 27, 1.4, 22);
  scenePolygon(pen, [[middle - 12, top - 27], [middle + 12, top - 27], [middle, top - 42]], "#a32a24");
  pen.fillRect(middle - 0.8, top - 50, 1.6, 9);
  for (const y of [122, 166, 210]) {
    pen.fillStyle = "#20242c";
    pen.fillRect(middle - 4, y, 8, 13);
    pen.fillStyle = "#9fc0cf";
    pen.fillRect(middle - 2.5, y + 2, 5, 9);
  }
}

function sceneHouse(pen) {
  const [left, top, right, base] = [390, 206, 456, 248];
  pen.fillStyle = "#b5694a";
  pen.fillRect(left, top, right - left, base - top);
  pen.fillStyle = "#dcb79c";
  for (let y = top, row = 0; y < base; y += 5, row += 1) {
    pen.fillRect(left, y, right - left, 1);
    for (let x = left + (row % 2 ? 5 : 0); x < right; x += 10) pen.fillRect(x, y, 1, 5);
  }
  scenePolygon(pen, [[left - 6, top + 1], [right + 6, top + 1], [right - 12, top - 25],
    [left + 12, top - 25]], "#37424f");
  pen.strokeStyle = "#52606f";
  for (let x = left; x < right; x += 6) {
    pen.beginPath();
    pen.moveTo(x, top);
    pen.lineTo(423 + (x - 423) * 0.62, top - 25);
    pen.stroke();
  }
  pen.fillStyle = "#f4ead6";
  pen.fillRect(402, 217, 16, 16);
  pen.fillRect(430, 217, 14, 31);
  pen.fillStyle = "#2e4a5a";
  for (const [x, y] of [[404, 219], [411, 219], [404, 226], [411, 226]]) pen.fillRect(x, y, 5, 5);
  pen.fillStyle = "#5d2c22";
  pen.fillRect(432, 219, 10, 29);
}

function sceneFence(pen) {
  pen.fillStyle = "#f6f1e4";
  for (let x = 282; x < SCENE.width; x += 9) pen.fillRect(x, 258 + (x % 2), 3, 22);
  pen.fillRect(280, 263, 200, 2.5);
  pen.fillRect(280, 272, 200, 2.5);
}

function sceneGrain(pen, random) {
  const picture = pen.getImageData(0, 0, SCENE.width, SCENE.height);
  for (let at = 0; at < picture.data.length; at += 4) {
    const grain = 7 * (random() + random() - 1);
    for (let c = 0; c < 3; c += 1) picture.data[at + c] += grain;
  }
  pen.putImageData(picture, 0, 0);
}
